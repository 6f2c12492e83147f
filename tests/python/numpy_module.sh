#!/usr/bin/env bash
# The Python module: what it gives is what the program and the files of a run have.
set -u
lib=$(dirname "${BLOCKWISE:?}")/libblockwise.so
/usr/bin/python3 -c 'import numpy' 2>/dev/null || exit 77
# A library with a sanitizer cannot be loaded by a program that has none.
ldd "$lib" | grep -qE 'lib[alut]+san' && exit 77
work=$(mktemp -d "${TMPDIR:-/tmp}/blockwise-python-XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
# Installed it finds the library of its own prefix.
cmake --install "$(dirname "$BLOCKWISE")" --prefix "$work/prefix" >"$work/log" || { cat "$work/log" >&2; exit 1; }
found=$(env -u BLOCKWISE_LIBRARY PYTHONPATH="$work/prefix/lib/python3/dist-packages" \
  /usr/bin/python3 -c 'import blockwise; print(blockwise._lib._name, blockwise.version())') || exit 1
case $found in "$work/prefix/lib"*" 0."*) ;; *) echo "installed it uses $found" >&2; exit 1 ;; esac
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$BW_SOURCE/python BLOCKWISE_LIBRARY=$lib BLOCKWISE_RECIPES=$BW_SOURCE/recipes \
  /usr/bin/python3 -W error "$BW_SOURCE/tests/python/numpy_module.py"
