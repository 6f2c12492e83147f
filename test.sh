#!/usr/bin/env bash
# Builds the project and runs all its tests.
set -euo pipefail
cd "$(dirname "$0")"
scripts/setup.sh
cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release -DBW_TESTS=ON >/dev/null
cmake --build build
# Two at a time: few of them keep two cores busy alone.
ctest --test-dir build --output-on-failure -j 2
