"""Computes quality signals with their own programs: RedPajama-v2's (rule-based ones) or Dolma's taggers. One process, one core.

usage: signals.py redpajama|dolma SOURCE_FOLDER CORPUS.jsonl WORD_LIST_FOLDER TAGGERS [OUTPUT.jsonl]
Prints one JSON object, the seconds of CPU; with OUTPUT, writes one line a document: name -> what the program gives.
WORD_LIST_FOLDER holds LDNOOBW lists as en.txt, de.txt, ..., or is - (no list); Dolma brings its own. TAGGERS are Dolma's,
with commas between them.
"""
import importlib
import json
import re
import sys
import time
import types

DOLMA_MODULES = ("gopher", "c4", "length", "punctuation", "repetitions.repetitions_taggers")


def redpajama(folder, words, taggers):
    sys.path.insert(0, folder + "/app/src")
    import core.document
    # NLTK 3.10 splits by another expression engine than the NLTK of 2023, whose words the published signals count.
    core.document._word_tokenizer = types.SimpleNamespace(tokenize=re.compile(r"\w+|[^\w\s]+").findall)
    from core.document import Document
    from core.quality_signals import content, lines, natural_language, repetitions

    def signals(language):
        bad_words = content.RPS_Doc_LDNOOBW_Words(bad_words_dir=words, language="none" if words == "-" else language)
        content_signals = [bad_words, content.RPS_Doc_Lorem_Ipsum(), content.RPS_Doc_Curly_Bracket(),
                           content.RPS_Doc_Stop_Word_Fraction(language=language)]
        return [*content_signals, *lines.register_lines_callables(), *natural_language.register_natural_language_callables(),
                *repetitions.register_repetitions_callables()]

    by_language = {}

    def run(row):
        language = row.get("language", "en")
        if language not in by_language:
            by_language[language] = signals(language)
        document = Document(row["text"], domain=None, precompute_ngrams=True)
        return {signal.field_name: signal(document) for signal in by_language[language]}

    return run


def dolma(folder, words, names):
    # The package's own __init__ wants its Rust extension and tokenizers from the network; the taggers below need neither.
    for name in ("dolma", "dolma.core", "dolma.taggers", "dolma.taggers.repetitions"):
        module = types.ModuleType(name)
        module.__path__ = [folder + "/python/" + name.replace(".", "/")]
        sys.modules[name] = module
    sys.modules["nltk"] = types.ModuleType("nltk")
    sys.modules["nltk"].data = types.SimpleNamespace(find=lambda name: None)
    for name in ("nltk.tokenize", "nltk.tokenize.punkt"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["nltk.tokenize.punkt"].PunktSentenceTokenizer = lambda: None
    for module in DOLMA_MODULES:
        importlib.import_module("dolma.taggers." + module)
    from dolma.core.data_types import InputSpec
    from dolma.core.registry import TaggerRegistry

    taggers = {name: TaggerRegistry.get(name)() for name in names.split(",")}
    return lambda row: {name: tagger.tag(InputSpec(id="", text=row["text"])) for name, tagger in taggers.items()}


which, source, corpus, words, taggers, *output = sys.argv[1:]
run = {"redpajama": redpajama, "dolma": dolma}[which](source, words, taggers)
with open(corpus, encoding="utf-8") as lines:
    rows = [json.loads(line) for line in lines]
start = time.process_time()
results = [run(row) for row in rows]
seconds = time.process_time() - start
if output:
    with open(output[0], "w", encoding="utf-8") as out:
        for result in results:
            out.write(json.dumps(result) + "\n")
print(json.dumps({"seconds": seconds}))
