"""Times datatrove from WARC files to filtered text: one process, one core.

usage: datatrove_end_to_end.py WARM TIMED OUTPUT
WARM and TIMED hold *.warc.gz: the first is run before the clock starts. Prints one JSON object: seconds of the second run
and documents kept. The word splitter is spaCy's, as installed; the language filter is left out (its model is a download).
"""
import glob
import json
import shutil
import sys
import time

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.filters import C4QualityFilter, FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter
from datatrove.pipeline.readers import WarcReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.word_tokenizers import load_word_tokenizer

warm, timed, output = sys.argv[1:4]
load_word_tokenizer("en").word_tokenize("Loads the model before the clock starts.")


def run(folder):
    shutil.rmtree(output, ignore_errors=True)
    executor = LocalPipelineExecutor(
        pipeline=[
            WarcReader(folder, glob_pattern="*.warc.gz"),
            Trafilatura(favour_precision=True, timeout=5),
            GopherRepetitionFilter(),
            GopherQualityFilter(),
            C4QualityFilter(filter_no_terminal_punct=False),
            FineWebQualityFilter(),
            JsonlWriter(output + "/out", compression=None),
        ],
        tasks=1,
        workers=1,
        logging_dir=output + "/logs",
    )
    start = time.perf_counter()
    executor.run()
    return time.perf_counter() - start


run(warm)
seconds = run(timed)
kept = sum(1 for path in glob.glob(output + "/out/*.jsonl") for _ in open(path))
print(json.dumps({"seconds": seconds, "kept": kept}))
