"""Times KenLM's Python module on a model: one process, one core.

usage: perplexity.py MODEL CORPUS
CORPUS is JSON lines, a text each; each of its lines is scored as a sentence, as CCNet does it. Prints one JSON object: CPU
seconds of the median of five passes, and the sum of all scores.
"""
import json
import sys
import time

import kenlm

model = kenlm.Model(sys.argv[1])
documents = [json.loads(line) for line in open(sys.argv[2], encoding="utf-8")]


def once():
    start = time.process_time()
    total = 0.0
    for document in documents:
        score = 0.0
        for line in document.split("\n"):
            score += model.score(line)
        total += score
    return time.process_time() - start, total


rounds = sorted(once() for _ in range(5))
print(json.dumps({"seconds": rounds[2][0], "logProbability": rounds[2][1]}))
