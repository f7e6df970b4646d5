# datatrove's PIIFormatter over JSON lines {text}: the seconds that it takes.
import json
import sys
import time

from datatrove.pipeline.formatters import PIIFormatter

formatter = PIIFormatter()
texts = [json.loads(line)["text"] for line in sys.stdin]
formatter.format("warm up")
start = time.perf_counter()
for text in texts:
    formatter.format(text)
print(json.dumps({"seconds": time.perf_counter() - start}))
