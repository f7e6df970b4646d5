"""Times tiktoken or Hugging Face's tokenizers on one thread.

usage: tokenizer.py tiktoken TEXTS RANKS-FOLDER gpt2|cl100k|o200k
       tokenizer.py huggingface TEXTS TOKENIZER.JSON
       tokenizer.py train TEXTS VOCABULARY-SIZE PATTERN
TEXTS is a JSON list of strings. Prints one JSON object: processor seconds of the faster of two passes after one that warms up
(training: of its only one), and tokens in all (training: merges).
"""
import base64
import json
import os
import sys
import time

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
mode, texts_file, source = sys.argv[1:4]
with open(texts_file, encoding="utf-8", newline="") as file:
    texts = json.load(file)


def fastest(encode_all):
    encode_all()
    best = float("inf")
    for _ in range(2):
        start = time.process_time()
        tokens = encode_all()
        best = min(best, time.process_time() - start)
    print(json.dumps({"seconds": best, "tokens": tokens}))


if mode == "tiktoken":
    import tiktoken
    import tiktoken_ext.openai_public as public

    def load_ranks(url, expected_hash=None):
        with open(os.path.join(source, url.split("/")[-1]), "rb") as ranks:
            return {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in ranks if line.strip())}

    public.load_tiktoken_bpe = load_ranks
    definition = {"gpt2": public.r50k_base, "cl100k": public.cl100k_base, "o200k": public.o200k_base}[sys.argv[4]]
    encoding = tiktoken.Encoding(**definition())
    fastest(lambda: sum(len(encoding.encode_ordinary(text)) for text in texts))
elif mode == "huggingface":
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(source)
    tokenizer.encode_special_tokens = True
    # Without offsets: its fastest way.
    fastest(lambda: sum(len(encoded.ids) for encoded in tokenizer.encode_batch_fast(texts, add_special_tokens=False)))
else:
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(sys.argv[4]), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=int(source),
        min_frequency=2,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    start = time.process_time()
    tokenizer.train_from_iterator(texts, trainer)
    print(json.dumps({"seconds": time.process_time() - start, "tokens": tokenizer.get_vocab_size() - 257}))
