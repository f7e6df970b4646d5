"""Times datatrove's filter chain of the FineWeb recipe: one process, one core, texts in memory.

usage: filters.py CORPUS.jsonl
Prints one JSON object: seconds, documents kept, and the CRC-32 of their ids, one a line. The word splitter is spaCy's, as
installed; its model is loaded before the clock starts.
"""
import json
import sys
import time
import zlib

from datatrove.data import Document
from datatrove.pipeline.filters import C4QualityFilter, FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter
from datatrove.utils.word_tokenizers import load_word_tokenizer
from loguru import logger

logger.remove()
with open(sys.argv[1], encoding="utf-8") as lines:
    rows = [json.loads(line) for line in lines]
load_word_tokenizer("en").word_tokenize("Loads the model before the clock starts.")
chain = [GopherRepetitionFilter(), GopherQualityFilter(), C4QualityFilter(filter_no_terminal_punct=False), FineWebQualityFilter()]

start = time.perf_counter()
stream = (Document(text=row["text"], id=row["id"]) for row in rows)
for stage in chain:
    stream = stage.run(stream)
kept = [document.id for document in stream]
seconds = time.perf_counter() - start
print(json.dumps({"seconds": seconds, "kept": len(kept), "digest": zlib.crc32("\n".join(kept).encode())}))
