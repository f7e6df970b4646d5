"""Reads what `sluice export` wrote with the readers of those formats themselves, and prints what each read, one JSON object.

usage: exported.py FOLDER LLMC
FOLDER holds megatron, datatrove and llmc as sluice wrote them, LLMC is llm.c's checkout. Sums as in readers.py; datatrove reads
windows of 1,024 tokens, so that the end of its stream is left out.
"""
import glob
import importlib.metadata as metadata
import importlib.util
import json
import sys
import warnings

warnings.simplefilter("ignore")
import numpy as np
from datatrove.utils.dataset import DatatroveFileDataset
from megatron.core.datasets.indexed_dataset import IndexedDataset

folder, llmc = sys.argv[1:3]
PRIME = (1 << 61) - 1
WINDOW = 1024


def summary(sequences):
    count = total = check = 0
    for sequence in sequences:
        count += 1
        for id in sequence.tolist():
            total += 1
            check = (check + id * total) % PRIME
    return {"documents": count, "tokens": total, "check": str(check)}


indexed = IndexedDataset(glob.glob(folder + "/megatron/*.idx")[0][:-4])
windows = DatatroveFileDataset(glob.glob(folder + "/datatrove/*.ds")[0], WINDOW - 1)
spec = importlib.util.spec_from_file_location("train_gpt2", llmc + "/train_gpt2.py")
train_gpt2 = importlib.util.module_from_spec(spec)
spec.loader.exec_module(train_gpt2)
print(
    json.dumps(
        {
            "megatron-core": summary(indexed[i] for i in range(len(indexed))),
            "datatrove windows": summary(windows[i]["input_ids"] for i in range(len(windows))),
            "train_gpt2.py": summary(train_gpt2._load_data_shard(path) for path in sorted(glob.glob(folder + "/llmc/*.bin"))),
            "versions": {name: metadata.version(name) for name in ("megatron-core", "datatrove", "torch")},
        }
    )
)
