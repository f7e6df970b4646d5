#!/usr/bin/env bash
# Builds KenLM's programs lmplz and build_binary: kenlm.sh [repository]. Needs git, cmake, a C++ compiler and boost
# (libboost-program-options-dev, libboost-thread-dev, libboost-system-dev, libboost-test-dev). Prints their folder.
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p installed
[ -d installed/kenlm ] || git clone --quiet "${1:-https://github.com/kpu/kenlm}" installed/kenlm
cd installed/kenlm
if [ ! -x build/bin/build_binary ]; then
  mkdir -p build
  cd build
  cmake .. -DCMAKE_BUILD_TYPE=Release > cmake.log
  make lmplz build_binary > make.log 2>&1
  cd ..
fi
echo "$PWD/build/bin"
