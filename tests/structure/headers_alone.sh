#!/usr/bin/env bash
# Every header compiles as the only thing a file includes: public ones as C17 and as C++11 and C++17, internal ones as
# C17. A header that leans on what others include before it breaks far from its cause.
set -euo pipefail
cd "${BW_SOURCE:?folder of the project}"
cc=${CC:-cc}
cxx=${CXX:-c++}
warnings=(-Wall -Wextra -Wpedantic -Wundef -Wshadow -Werror)

alone() { # alone COMPILER LANGUAGE STANDARD HEADER FLAGS...
    local compiler=$1 language=$2 standard=$3 header=$4
    shift 4
    printf '#include "%s"\nextern int bw_not_empty;\n' "$header" |
        "$compiler" -x "$language" -std="$standard" "${warnings[@]}" "$@" -fsyntax-only -
}

# The check itself must be able to fail.
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
echo 'size_t bw_leans_on_stddef(void);' >"$tmp/leans.h"
if alone "$cc" c c17 leans.h -I "$tmp" 2>/dev/null || alone "$cxx" c++ c++17 leans.h -I "$tmp" 2>/dev/null; then
    echo "self-test: a header that is not complete was accepted" >&2
    exit 1
fi

status=0
count=0
for path in include/blockwise/*.h; do
    header=${path#include/}
    alone "$cc" c c17 "$header" -I include || status=1
    for standard in c++11 c++17; do
        alone "$cxx" c++ $standard "$header" -I include || status=1
    done
    count=$((count + 1))
done
for path in src/*/*.h; do
    alone "$cc" c c17 "${path#src/}" -I include -I src -D_POSIX_C_SOURCE=200809L || status=1
    count=$((count + 1))
done
[ "$count" -gt 0 ] || { echo "no headers found" >&2; exit 1; }
echo "$count headers compiled alone"
exit $status
