"""fastText's own Python package beside `sluice classifier`: times, accuracy, and predictions to test against.

usage: classifier.py train TEXT MODEL OPTIONS         trains; prints wall and CPU seconds
       classifier.py predict MODEL TEXT               prints CPU seconds of the median of five passes over the lines
       classifier.py test MODEL TEXT                  prints precision and recall at 1
       classifier.py record TEXT QUESTIONS OPTIONS    trains on one thread, prints all labels and scores of each line
OPTIONS is JSON, as train_supervised takes it. Each prints one JSON object on its last line.
"""
import json
import sys
import time

import fasttext


def lines_of(path):
    return [line.rstrip("\n") for line in open(path, encoding="utf-8", newline="\n")]


def train(text, path, options):
    wall, cpu = time.perf_counter(), time.process_time()
    model = fasttext.train_supervised(text, verbose=0, **json.loads(options))
    times = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    if path != "-":
        model.save_model(path)
    return times


def predict(path, text):
    model = fasttext.load_model(path)
    lines = lines_of(text)
    seconds = []
    for _ in range(5):
        start = time.process_time()
        for line in lines:
            model.predict(line, k=1)
        seconds.append(time.process_time() - start)
    return {"cpu": sorted(seconds)[2]}


def test(path, text):
    examples, precision, recall = fasttext.load_model(path).test(text)
    return {"examples": examples, "precision": precision, "recall": recall}


def record(text, questions, options):
    model = fasttext.train_supervised(text, verbose=0, thread=1, **json.loads(options))
    answers = []
    for question in lines_of(questions):
        labels, scores = model.predict(question, k=-1)
        answers.append(dict(zip(labels, (round(float(score), 6) for score in scores))))
    return {"answers": answers}


print(json.dumps({"train": train, "predict": predict, "test": test, "record": record}[sys.argv[1]](*sys.argv[2:]), ensure_ascii=False))
