#!/usr/bin/env bash
# Holds the files that call oneDNN against the headers of a oneDNN 3.x.
#
#     scripts/check_onednn3.sh HEADERS [VERSION]
#
# HEADERS is the folder with dnnl.h: `include` of an installation, or of a source tree, whose templates for
# version and configuration are filled in here (VERSION, 3.0.0 if not given). For example:
#
#     git clone --depth 1 --branch v3.5 https://github.com/uxlfoundation/oneDNN /tmp/onednn
#     scripts/check_onednn3.sh /tmp/onednn/include 3.5.0
#
# This is a check of syntax and types (-fsyntax-only, every warning an error): nothing is linked and nothing
# runs. That results and speed are right with a 3.x has still to be shown there, by building and testing.
set -euo pipefail
usage() { sed -n '4,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[ $# -ge 1 ] && [ -f "$1/dnnl.h" ] || usage
headers=$(cd "$1" && pwd) version=${2:-3.0.0}
cd "$(dirname "$0")/.."
filled=$(mktemp -d)
trap 'rm -rf "$filled"' EXIT

mkdir -p "$filled/oneapi/dnnl"
IFS=. read -r major minor patch <<<"$version"
for name in version config; do
    template=$headers/oneapi/dnnl/dnnl_$name.h.in
    [ ! -f "$headers/oneapi/dnnl/dnnl_$name.h" ] || continue
    [ -f "$template" ] || usage
    sed -e "s/@DNNL_VERSION_MAJOR@/$major/; s/@DNNL_VERSION_MINOR@/$minor/; s/@DNNL_VERSION_PATCH@/$patch/" \
        -e 's/@DNNL_VERSION_HASH@/unknown/' \
        -e 's/^#cmakedefine \(DNNL_CPU[A-Z_]*RUNTIME\) .*/#define \1 DNNL_RUNTIME_OMP/' \
        -e 's/^#cmakedefine DNNL_GPU_RUNTIME .*/#define DNNL_GPU_RUNTIME DNNL_RUNTIME_NONE/' \
        -e 's/^#cmakedefine01 \([A-Z0-9_]*\).*/#define \1 0/' \
        -e '/^#cmakedefine /d' "$template" >"$filled/oneapi/dnnl/dnnl_$name.h"
done

compile=("${CC:-cc}" -std=c17 -D_POSIX_C_SOURCE=200809L -fopenmp -Wall -Wextra -Wpedantic
    -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef -Wdouble-promotion -Werror
    -Iinclude -Isrc -isystem "$headers" -isystem "$filled")
# Without this a slip in the folders would check the installed 2.6 once more.
found=$(printf '#include <dnnl.h>\nDNNL_VERSION_MAJOR DNNL_VERSION_MINOR\n' | "${compile[@]}" -E -P -x c - | tail -n 1)
[ "${found% *}" = 3 ] || { echo "check_onednn3.sh: $headers is oneDNN ${found/ /.}, not 3.x" >&2; exit 1; }

mapfile -t files < <(grep -lE '#include ("nn/onednn|<dnnl)' src/nn/*.c)
for file in "${files[@]}"; do
    "${compile[@]}" -fsyntax-only "$file"
done
echo "oneDNN ${found/ /.}: ${#files[@]} files pass the syntax check: ${files[*]}"
