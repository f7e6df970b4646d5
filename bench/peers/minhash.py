"""Times MinHash signatures of a peer: one process, one core.

usage: minhash.py datatrove|rensa CORPUS
CORPUS is JSON lines {"text", "simplified"}. Prints one JSON object. datatrove: seconds from text to signature (spaCy's
words, 64 bits, 112 hashes). rensa: seconds from simplified text, split at blanks into 5-grams, to 112 hashes; and of
that, signSeconds for the hashes alone. The first documents are signed before the clock starts.
"""
import json
import os
import sys
import time

os.environ["RAYON_NUM_THREADS"] = "1"
peer, corpus = sys.argv[1:3]
documents = [json.loads(line) for line in open(corpus, encoding="utf-8")]


def with_datatrove():
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature

    step = MinhashDedupSignature("/tmp", config=MinhashConfig())

    def sign(document):
        step.get_signature(step.get_shingles(document["text"]))

    for document in documents[:3]:
        sign(document)
    start = time.perf_counter()
    for document in documents:
        sign(document)
    return {"seconds": time.perf_counter() - start}


def with_rensa():
    from rensa import RMinHash

    def shingle(document):
        words = document["simplified"].split(" ")
        return [" ".join(words[i : i + 5]) for i in range(len(words) - 4)]

    def sign(shingles):
        signature = RMinHash(num_perm=112, seed=1)
        signature.update(shingles)
        return signature.digest()

    for document in documents[:3]:
        sign(shingle(document))
    start = time.perf_counter()
    shingles = [shingle(document) for document in documents]
    middle = time.perf_counter()
    for each in shingles:
        sign(each)
    end = time.perf_counter()
    return {"seconds": end - start, "signSeconds": end - middle}


print(json.dumps({"datatrove": with_datatrove, "rensa": with_rensa}[peer]()))
