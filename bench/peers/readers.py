"""Reads shards and exported files with the readers of others, and prints what each read, one JSON object.

usage: readers.py TOKENS DOCUMENTS EXPORTED
TOKENS and DOCUMENTS are folders of Parquet shards, EXPORTED holds what `sluice export` made of TOKENS in the folders llmc,
megatron and datatrove. A token corpus is told apart by documents, tokens, and a sum of token × (position + 1) mod 2⁶¹ − 1.
"""
import glob
import json
import struct
import sys

import datasets
import duckdb
import numpy as np
import polars
import pyarrow.parquet as parquet

tokens, documents, exported = sys.argv[1:4]
PRIME = (1 << 61) - 1


def summary(sequences):
    count = total = check = 0
    for sequence in sequences:
        ids = [int(id) for id in sequence]
        count += 1
        for id in ids:
            total += 1
            check = (check + id * total) % PRIME
    return {"documents": count, "tokens": total, "check": str(check)}


def text_summary(texts):
    texts = list(texts)
    return {"documents": len(texts), "characters": sum(map(len, texts))}


def megatron():
    """The format as Megatron-LM's indexed_dataset.py reads it: header, lengths, pointers, document bounds."""
    path = glob.glob(exported + "/megatron/*.idx")[0]
    with open(path, "rb") as file:
        assert file.read(9) == b"MMIDIDX\x00\x00"
        version, code, count, bounds = struct.unpack("<QBQQ", file.read(25))
        assert version == 1
        lengths = np.frombuffer(file.read(4 * count), dtype=np.int32)
        pointers = np.frombuffer(file.read(8 * count), dtype=np.int64)
        assert len(np.frombuffer(file.read(8 * bounds), dtype=np.int64)) == count + 1
    dtype = {4: np.int32, 8: np.uint16}[code]
    data = np.memmap(path[:-3] + "bin", dtype=dtype, mode="r")
    return (data[p // dtype().itemsize :][:n] for p, n in zip(pointers, lengths))


def llmc():
    for path in sorted(glob.glob(exported + "/llmc/*.bin")):
        head = np.fromfile(path, dtype=np.int32, count=256)
        assert head[0] == 20240520 and head[1] == 1, "not a file of llm.c"
        ids = np.fromfile(path, dtype=np.uint16, offset=1024)
        assert len(ids) == head[2]
        yield ids


def datatrove():
    path = glob.glob(exported + "/datatrove/*.ds")[0]
    ends = np.fromfile(path + ".index", dtype=np.uint64)
    ids = np.fromfile(path, dtype=np.uint16)
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
    return (ids[start:end] for start, end in zip(starts, ends.astype(np.int64)))


def datatrove_windows(size=1024):
    """The stream as datatrove's own dataset cuts it, documents apart from windows."""
    ids = np.fromfile(glob.glob(exported + "/datatrove/*.ds")[0], dtype=np.uint16)
    return (ids[start : start + size] for start in range(0, len(ids) - size + 1, size))


shards = sorted(glob.glob(tokens + "/*.parquet"))
texts = sorted(glob.glob(documents + "/*.parquet"))
arrow = [parquet.read_table(path) for path in shards]
column = next(name for name in arrow[0].schema.names if name in ("tokens", "ids", "input_ids"))
loaded = datasets.load_dataset("parquet", data_files=shards, split="train", cache_dir=exported + "/cache")
result = {
    "tokens": {
        "PyArrow": summary(row for table in arrow for row in table.column(column).to_pylist()),
        "Polars": summary(polars.concat([polars.read_parquet(path) for path in shards])[column].to_list()),
        "DuckDB": summary(row for path in shards for (row,) in duckdb.sql(f"SELECT {column} FROM '{path}'").fetchall()),
        "datasets": summary(loaded[column]),
    },
    "documents": {
        "PyArrow": text_summary(row for path in texts for row in parquet.read_table(path).column("text").to_pylist()),
        "Polars": text_summary(polars.concat([polars.read_parquet(path) for path in texts])["text"].to_list()),
        "DuckDB": text_summary(row for path in texts for (row,) in duckdb.sql(f"SELECT text FROM '{path}'").fetchall()),
        "datasets": text_summary(datasets.load_dataset("parquet", data_files=texts, split="train", cache_dir=exported + "/cache")["text"]),
    },
    "exported": {
        "megatron": summary(megatron()),
        "llmc": summary(llmc()),
        "datatrove": summary(datatrove()),
        "datatrove windows": summary(datatrove_windows()),
    },
    "versions": {m.__name__: m.__version__ for m in (polars, duckdb, datasets)} | {"pyarrow": parquet.__version__ if hasattr(parquet, "__version__") else __import__("pyarrow").__version__},
}
print(json.dumps(result))
