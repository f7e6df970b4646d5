# trafilatura over a folder of *.html.gz, comments off: texts by file name, as JSON.
import glob
import gzip
import json
import os
import sys

import trafilatura

texts = {}
for path in sorted(glob.glob(f"{sys.argv[1]}/*.html.gz")):
    name = os.path.basename(path)[: -len(".html.gz")]
    try:
        texts[name] = trafilatura.extract(gzip.open(path, "rb").read(), include_comments=False) or ""
    except Exception:
        texts[name] = ""
print(json.dumps(texts))
