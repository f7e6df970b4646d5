"""Times Hugging Face's trainer of byte-level BPE, JSON lines in, tokenizer.json out.

usage: tokenizer_training.py CORPUS SIZE THREADS PATTERN OUTPUT
Prints one JSON object: wall seconds, reading and writing included.
"""
import json
import os
import sys
import time

corpus, size, threads, pattern, output = sys.argv[1:6]
os.environ["RAYON_NUM_THREADS"] = threads
os.environ["TOKENIZERS_PARALLELISM"] = "true"

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers  # noqa: E402


def texts():
    with open(corpus, encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)["text"]


start = time.perf_counter()
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
    [pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
)
trainer = trainers.BpeTrainer(
    vocab_size=int(size),
    min_frequency=2,
    special_tokens=["<|endoftext|>"],
    initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    show_progress=False,
)
tokenizer.train_from_iterator(texts(), trainer)
tokenizer.save(output)
print(json.dumps({"seconds": time.perf_counter() - start}))
