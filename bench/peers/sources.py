"""Times datatrove's readers of JSON lines and Parquet, or pyarrow alone: one process, one core.

usage: sources.py READER FILE
READER is datatrove or pyarrow (Parquet, every text as a Python string). Prints one JSON object: CPU seconds of the median
of three passes, and what was read, to compare.
"""
import contextlib
import json
import os
import sys
import time

reader, path = sys.argv[1:]
folder, name = os.path.split(path)


def with_datatrove():
    from datatrove.pipeline.readers import JsonlReader, ParquetReader

    kind = ParquetReader if name.endswith(".parquet") else JsonlReader
    return (document.text for document in kind(folder, glob_pattern=name).run())


def with_pyarrow():
    import pyarrow.parquet

    for batch in pyarrow.parquet.ParquetFile(path).iter_batches(use_threads=False):
        yield from (row["text"] for row in batch.to_pylist())


def once():
    start = time.process_time()
    documents = characters = 0
    for text in with_datatrove() if reader == "datatrove" else with_pyarrow():
        documents += 1
        characters += len(text)
    return time.process_time() - start, documents, characters


with contextlib.redirect_stdout(sys.stderr):
    passes = sorted(once() for _ in range(3))
seconds, documents, characters = passes[1]
print(json.dumps({"seconds": seconds, "documents": documents, "characters": characters}))
