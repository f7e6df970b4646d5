"""Tokenizers over pieces of words by Hugging Face's tokenizers: trains files of the published shapes, and encodes with them.

usage: pieces.py make FOLDER TEXTS
       pieces.py encode TOKENIZER.JSON TEXTS IDS
       pieces.py time TOKENIZER.JSON TEXTS
TEXTS is a JSON list of strings. `encode` writes [[ids, text that they decode to], ...] and prints the ids around a text;
`time` prints processor seconds of the faster of two passes after one that warms up, and tokens in all.
"""
import io
import json
import os
import sys
import time

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SIZE = 8000
MARK = "\u2581"
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def field(message, number):
    """The bytes of a length-delimited field of a protocol buffer message."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = varint()
        if key & 7 == 2:
            length = varint()
            if key >> 3 == number:
                return message[at : at + length]
            at += length
        elif key & 7 == 0:
            varint()
        else:
            at += 4 if key & 7 == 5 else 8
    raise SystemExit(f"the message has no field {number}")


def precompiled(rule):
    """The character map that SentencePiece carries under that name; the text that it is asked to learn from does not matter."""
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["the quick brown fox jumps over the lazy dog"] * 9), model_writer=model, vocab_size=40,
        hard_vocab_limit=False, normalization_rule_name=rule, minloglevel=2,
    )
    return normalizers.Precompiled(field(field(model.getvalue(), 3), 2))


def template(before, after, ids):
    names = before + ["$A"] + after
    return processors.TemplateProcessing(
        single=" ".join(names), pair=" ".join(names + ["$B:1"] + [f"{name}:1" for name in after]), special_tokens=[(t, ids(t)) for t in before + after]
    )


def word_piece(texts, normalizer, pre_tokenizer, processor=None, cleanup=True):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizer
    tokenizer.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=SIZE, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False))
    tokenizer.post_processor = processor or template(["[CLS]"], ["[SEP]"], tokenizer.token_to_id)
    tokenizer.decoder = decoders.WordPiece(cleanup=cleanup)
    return tokenizer


def unigram(texts, normalizer, pre_tokenizer, specials, before, after, byte_fallback=False):
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizer
    tokenizer.train_from_iterator(texts, trainers.UnigramTrainer(vocab_size=SIZE, special_tokens=specials, unk_token="<unk>", show_progress=False))
    tokenizer.post_processor = template(before, after, tokenizer.token_to_id)
    if not byte_fallback:
        tokenizer.decoder = decoders.Metaspace()
        return tokenizer
    # The trainer has no bytes: they are put in front of the last pieces.
    content = json.loads(tokenizer.to_str())
    content["model"]["byte_fallback"] = True
    content["model"]["vocab"] += [[byte, -20.0] for byte in BYTES]
    tokenizer = Tokenizer.from_str(json.dumps(content))
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="never")])
    return tokenizer


def character_bpe(texts, normalizer, pre_tokenizer, strips=True):
    trained = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    trained.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=SIZE, special_tokens=["<unk>", "<s>", "</s>"] + BYTES, limit_alphabet=1000, show_progress=False))
    content = json.loads(trained.to_str())
    content["added_tokens"] = content["added_tokens"][:3]
    tokenizer = Tokenizer.from_str(json.dumps(content))
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    chain = [decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence(chain + [decoders.Strip(" ", 1, 0)] if strips else chain)
    tokenizer.post_processor = template(["<s>"], [], tokenizer.token_to_id)
    return tokenizer


def make(folder, texts):
    n, p = normalizers, pre_tokenizers
    nmt_nfkc = precompiled("nmt_nfkc")
    space = n.Replace(" ", MARK)
    shapes = {
        "bert-uncased": lambda: word_piece(texts, n.BertNormalizer(), p.BertPreTokenizer()),
        "bert-cased": lambda: word_piece(texts, n.BertNormalizer(lowercase=False), p.BertPreTokenizer(), processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2)), cleanup=False),
        "words": lambda: word_piece(texts, n.Sequence([n.NFD(), n.StripAccents(), n.Lowercase(), n.Strip()]), p.Sequence([p.Whitespace(), p.Digits(True)])),
        "marks": lambda: word_piece(texts, n.NFKC(), p.Sequence([p.WhitespaceSplit(), p.Punctuation("contiguous"), p.Split(Regex("[0-9]"), "merged_with_next")])),
        "t5": lambda: unigram(texts, nmt_nfkc, p.Sequence([p.WhitespaceSplit(), p.Metaspace()]), ["<pad>", "</s>", "<unk>"] + [f"<extra_id_{i}>" for i in range(9)], [], ["</s>"]),
        "xlm-roberta": lambda: unigram(texts, n.Sequence([nmt_nfkc, n.Replace(Regex(" {2,}"), " ")]), p.Metaspace(), ["<s>", "<pad>", "</s>", "<unk>", "<mask>"], ["<s>"], ["</s>"]),
        "albert": lambda: unigram(
            texts, n.Sequence([n.Replace("``", '"'), n.Replace("''", '"'), n.NFKD(), n.StripAccents(), n.Lowercase(), precompiled("nmt_nfkc_cf")]), p.Metaspace(),
            ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"], ["[CLS]"], ["[SEP]"],
        ),
        "unigram-bytes": lambda: unigram(texts, n.Sequence([n.Nmt(), n.NFKC(), n.Strip(), n.Prepend("_")]), p.Metaspace(prepend_scheme="never", split=False), ["<pad>", "</s>", "<unk>"], [], ["</s>"], True),
        "llama-2": lambda: character_bpe(texts, n.Sequence([n.Prepend(MARK), space]), None),
        "mistral": lambda: character_bpe(texts, None, p.Metaspace(prepend_scheme="first", split=False)),
        "gemma": lambda: character_bpe(texts, space, p.Split(" ", "merged_with_previous"), strips=False),
    }
    for name, build in shapes.items():
        build().save(os.path.join(folder, f"{name}.json"))
        print(name, file=sys.stderr)
    # The older spelling of Metaspace.
    with open(os.path.join(folder, "xlm-roberta.json"), encoding="utf-8") as file:
        content = json.load(file)
    content["pre_tokenizer"] = content["decoder"] = {"type": "Metaspace", "replacement": MARK, "add_prefix_space": True}
    with open(os.path.join(folder, "xlm-roberta.json"), "w", encoding="utf-8") as file:
        json.dump(content, file)


def load_texts(path):
    with open(path, encoding="utf-8", newline="") as file:
        return json.load(file)


mode, path, texts_file = sys.argv[1:4]
if mode == "make":
    make(path, load_texts(texts_file))
else:
    tokenizer = Tokenizer.from_file(path)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    framed = tokenizer.encode("", add_special_tokens=True).ids
    tokenizer.encode_special_tokens = True
    texts = load_texts(texts_file)
    if mode == "encode":
        ids = [encoded.ids for encoded in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
        with open(sys.argv[4], "w") as file:
            json.dump([[one, tokenizer.decode(one, skip_special_tokens=False)] for one in ids], file)
        print(json.dumps({"frame": framed}))
    else:
        best = float("inf")
        for round in range(3):
            start = time.process_time()
            tokens = sum(len(encoded.ids) for encoded in tokenizer.encode_batch_fast(texts, add_special_tokens=False))
            if round > 0:
                best = min(best, time.process_time() - start)
        print(json.dumps({"seconds": best, "tokens": tokens}))
