#!/usr/bin/env bash
# label: slow (links against the plain library, which a sanitizer build is not)
# What `cmake --install` puts under a prefix is enough to run the program and to build against the library.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cmake --install "$(dirname "$BLOCKWISE")" --prefix "$tmp/prefix" >"$tmp/log" || { cat "$tmp/log" >&2; exit 1; }

version=$("$tmp/prefix/bin/blockwise" --version)
case $version in "blockwise "[0-9]*) ;; *) echo "unexpected version: $version" >&2; exit 1 ;; esac
for recipe in "$BW_SOURCE"/recipes/*.yaml; do
    cmp "$recipe" "$tmp/prefix/share/blockwise/recipes/$(basename "$recipe")"
done
diff -r "$BW_SOURCE/include/blockwise" "$tmp/prefix/include/blockwise"

cat >"$tmp/uses.c" <<'END'
#include <blockwise/blockwise.h>
#include <stdio.h>
int main(void)
{
    return puts(bw_version()) < 0;
}
END
lib=$(dirname "$(find "$tmp/prefix" -name libblockwise.so)")
[ -f "$lib/libblockwise.a" ] || { echo "no static library beside the shared one" >&2; exit 1; }
cc -std=c17 -Wall -Werror -I "$tmp/prefix/include" "$tmp/uses.c" -L "$lib" -lblockwise -o "$tmp/uses"
said=$(LD_LIBRARY_PATH=$lib "$tmp/uses")
case $version in "blockwise $said"*) ;; *) echo "library says $said, program $version" >&2; exit 1 ;; esac
