#!/usr/bin/env bash
# Installs NVIDIA's run-time compiler, which needs no GPU, into bench/peers/installed/cuda: what npm run check:cuda compiles with.
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p installed
[ -x installed/cuda/bin/pip ] || python3 -m venv installed/cuda
installed/cuda/bin/pip install --quiet --disable-pip-version-check nvidia-cuda-nvrtc==13.5.37
