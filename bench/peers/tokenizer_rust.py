"""Times encoders written in Rust on one thread, cl100k: those on PyPI that can be had.

usage: tokenizer_rust.py gigatoken|tokie|fastokens|rs-bpe|bpe-openai|kitoken TEXTS RANKS TOKENIZER.JSON
TEXTS is a JSON list of strings. Prints one JSON object: processor seconds of the faster of two passes after one that warms
up, and tokens in all.
"""
import json
import os
import sys
import time

os.environ["RAYON_NUM_THREADS"] = "1"
peer, texts_file, ranks, tokenizer_json = sys.argv[1:5]
with open(texts_file, encoding="utf-8", newline="") as file:
    texts = json.load(file)


def encoder():
    if peer == "gigatoken":
        import gigatoken

        return gigatoken.Tokenizer.from_tiktoken(ranks).encode
    if peer == "tokie":
        import tokie

        tokenizer = tokie.Tokenizer.from_json(tokenizer_json)
        return lambda text: tokenizer.encode(text, add_special_tokens=False).ids
    if peer == "fastokens":
        import fastokens

        tokenizer = fastokens.Tokenizer.from_file(tokenizer_json)
        return lambda text: tokenizer.encode(text, add_special_tokens=False)
    if peer == "rs-bpe":
        from rs_bpe.bpe import openai

        return openai.cl100k_base().encode
    if peer == "bpe-openai":
        import bpe_openai

        return bpe_openai.get_encoding("cl100k_base").encode
    import kitoken

    return kitoken.Kitoken.from_tiktoken_file(ranks).encode


encode = encoder()
seconds = []
tokens = 0
for _ in range(3):
    start = time.process_time()
    tokens = sum(len(encode(text)) for text in texts)
    seconds.append(time.process_time() - start)
print(json.dumps({"seconds": min(seconds[1:]), "tokens": tokens}))
