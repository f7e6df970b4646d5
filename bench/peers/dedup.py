"""Times near-duplicate removal by a peer, JSON lines in, kept documents out: one process, one core.

usage: dedup.py datatrove|text-dedup CORPUS OUTPUT
CORPUS is JSON lines {"id", "text"}. Prints one JSON object: seconds, and documents kept. Both: word 5-grams, 14 bands of 8.
Importing the library and loading the word splitter's model are done before the clock starts.
"""
import glob
import json
import os
import shutil
import sys
import time

peer, corpus, output = sys.argv[1:4]
shutil.rmtree(output, ignore_errors=True)
os.makedirs(output)


def with_datatrove():
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter
    from datatrove.utils.word_tokenizers import load_word_tokenizer

    load_word_tokenizer("en").word_tokenize("Loads the model before the clock starts.")
    config = MinhashConfig()
    reader = lambda: JsonlReader(os.path.dirname(corpus), glob_pattern=os.path.basename(corpus))
    steps = [
        [reader(), MinhashDedupSignature(output + "/signatures", config=config)],
        [MinhashDedupBuckets(output + "/signatures", output + "/buckets", config=config)],
        [MinhashDedupCluster(output + "/buckets", output + "/clusters", config=config)],
        [reader(), MinhashDedupFilter(output + "/clusters"), JsonlWriter(output + "/kept", compression=None)],
    ]
    start = time.perf_counter()
    for number, pipeline in enumerate(steps):
        tasks = config.num_buckets if number == 1 else 1
        LocalPipelineExecutor(pipeline=pipeline, tasks=tasks, workers=1, logging_dir=f"{output}/logs{number}").run()
    seconds = time.perf_counter() - start
    kept = sum(1 for path in glob.glob(output + "/kept/*.jsonl") for _ in open(path))
    return {"seconds": seconds, "kept": kept}


def with_text_dedup():
    from datasets import load_from_disk
    from text_dedup.minhash import main

    options = {
        "path": "json", "data_files": corpus, "split": "train", "cache_dir": output + "/cache", "output": output + "/kept",
        "column": "text", "batch_size": "10000", "num_proc": "1", "ngram": "5", "min_length": "5", "num_perm": "112",
        "b": "14", "r": "8", "hash_func": "xxh3", "hash_bits": "32", "use_auth_token": "false",
    }  # fmt: skip
    words = [word for name, value in options.items() for word in ("--" + name, value)]
    start = time.perf_counter()
    main(words, standalone_mode=False)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "kept": len(load_from_disk(output + "/kept"))}


if __name__ == "__main__":
    print(json.dumps({"datatrove": with_datatrove, "text-dedup": with_text_dedup}[peer]()))
