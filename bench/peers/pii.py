# Presidio's pattern recognizers on a blank English pipeline: its models cannot be had everywhere. Reads JSON lines {text},
# writes for each a line of spans [type, start, end] in code points; then the seconds that analysis took.
import json
import sys
import time

import spacy
import tldextract
from presidio_analyzer import AnalyzerEngine
from presidio_analyzer.nlp_engine import SpacyNlpEngine

# The list of public suffixes that it brings along, instead of a new one from the network.
tldextract.extract = tldextract.TLDExtract(suffix_list_urls=())


class BlankEngine(SpacyNlpEngine):
    def __init__(self):
        super().__init__(models=[{"lang_code": "en", "model_name": "blank"}])
        self.nlp = {"en": spacy.blank("en")}
        self.nlp["en"].max_length = 10**8

    def load(self):
        pass

    def is_loaded(self):
        return True


engine = AnalyzerEngine(nlp_engine=BlankEngine(), supported_languages=["en"])
engine.registry.remove_recognizer("SpacyRecognizer")
texts = [json.loads(line)["text"] for line in sys.stdin]
engine.analyze(text="warm up 1", language="en")
seconds = 0.0
for text in texts:
    start = time.perf_counter()
    found = engine.analyze(text=text, language="en")
    seconds += time.perf_counter() - start
    print(json.dumps([[r.entity_type, r.start, r.end] for r in found]))
print(json.dumps({"seconds": seconds}))
