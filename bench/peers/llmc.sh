#!/usr/bin/env bash
# Builds llm.c's CPU program for one shape of batch: llmc.sh <rows> <length> [repository]. Needs git and gcc with OpenMP.
# The shape is a constant in its main(), so each gets a copy of its own. Nothing of it is kept outside installed/.
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p installed
[ -d installed/llmc ] || git clone --quiet "${3:-https://github.com/karpathy/llm.c}" installed/llmc
cd installed/llmc
program="train_gpt2_$1_$2"
if [ ! -x "$program" ]; then
  sed -E "s/int B = 4;/int B = $1;/; s/int T = 64;/int T = $2;/" train_gpt2.c > "$program.c"
  gcc -Ofast -march=native -fopenmp -DOMP -w "$program.c" -lm -o "$program"
fi
echo "$PWD/$program"
