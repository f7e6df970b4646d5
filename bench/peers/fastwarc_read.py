"""Times FastWARC (C++ or Rust behind Python): one process, one core.

usage: fastwarc_read.py FILE
Every record with its HTTP head parsed and its payload read as stored. Prints one JSON object: CPU seconds of the median of
three passes after one to warm up, and what was read, to compare.
"""
import json
import sys
import time

from fastwarc.warc import ArchiveIterator


def once():
    start = time.process_time()
    records = size = 0
    for record in ArchiveIterator(sys.argv[1], parse_http=True, auto_decode="none", quirks_mode=True):
        records += 1
        size += len(record.reader.read())
    return time.process_time() - start, records, size


passes = [once() for _ in range(4)][1:]
seconds = sorted(seconds for seconds, _, _ in passes)[1]
print(json.dumps({"seconds": seconds, "records": passes[0][1], "bytes": passes[0][2]}))
