"""Extracts a folder of *.html with trafilatura or resiliparse: one process, one core.

usage: extraction.py trafilatura|trafilatura-metadata|resiliparse FOLDER TEXTS
Writes the texts by file name as JSON to TEXTS, and prints one JSON object: CPU seconds of the best of three passes, decoding
included. Comments off, tables on, as the benchmarks of both ask for.
"""
import glob
import json
import os
import sys
import time

tool, folder, out = sys.argv[1:]
pages = {os.path.basename(path)[:-5]: open(path, "rb").read() for path in sorted(glob.glob(f"{folder}/*.html"))}

if tool.startswith("trafilatura"):
    import trafilatura

    def extract(html):
        return trafilatura.extract(html, include_comments=False, with_metadata=tool.endswith("-metadata")) or ""

else:
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.encoding import detect_encoding
    from resiliparse.parse.html import HTMLTree

    def extract(html):
        return extract_plain_text(HTMLTree.parse_from_bytes(html, detect_encoding(html)), main_content=True)


def safely(html):
    try:
        return extract(html)
    except Exception:
        return ""


seconds = []
for _ in range(3):
    start = time.process_time()
    texts = {name: safely(html) for name, html in pages.items()}
    seconds.append(time.process_time() - start)
json.dump(texts, open(out, "w"))
print(json.dumps({"seconds": min(seconds)}))
