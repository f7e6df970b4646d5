"""Times fastText's own Python package on lid.176.ftz: one process, one core.

usage: language.py MODEL CORPUS
CORPUS is JSON lines, a text each. All labels from 0.01 up, as the stage `language` asks for. Prints one JSON object:
CPU seconds of the median of three passes.
"""
import json
import sys
import time

import fasttext

model = fasttext.load_model(sys.argv[1])
documents = [json.loads(line) for line in open(sys.argv[2], encoding="utf-8")]


def once():
    start = time.process_time()
    for document in documents:
        model.predict(document.replace("\n", " "), k=-1, threshold=0.01)
    return time.process_time() - start


print(json.dumps({"seconds": sorted(once() for _ in range(3))[1]}))
