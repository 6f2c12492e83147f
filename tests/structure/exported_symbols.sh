#!/usr/bin/env bash
# The shared library exports the functions of the public headers, all of them and nothing else, under the version
# that programs are bound to.
set -euo pipefail
library=$(dirname "${BLOCKWISE:?the program}")/libblockwise.so
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# declared DIR: names of the functions that the headers there declare with BW_API.
declared() {
    cat "$1"/*.h | grep -v '^ *#' | tr '\n' ' ' | sed 's#/\*[^*]*\*\+\([^/*][^*]*\*\+\)*/##g' |
        grep -oE 'BW_API[^;{]*;' | sed -nE 's/^[^(]*[ *](bw_[a-z0-9_]+) *\(.*/\1/p' | sort
}
# exported LIBRARY: names with their versions.
exported() {
    nm -D --defined-only "$1" | awk '$2 != "A" { print $3 }' | sort
}

# Both lists must be able to differ.
mkdir "$tmp/more"
cp "${BW_SOURCE:?folder of the project}"/include/blockwise/*.h "$tmp/more"
echo 'BW_API BW_MUST_CHECK /** of ; this */ bw_status bw_not_there(int a, void (*f)(void));' >>"$tmp/more/plan.h"
declared "$tmp/more" >"$tmp/with"
declared "$BW_SOURCE/include/blockwise" >"$tmp/declared"
[ "$(comm -13 "$tmp/declared" "$tmp/with")" = bw_not_there ] ||
    { echo "self-test: a new function was not seen" >&2; exit 1; }
[ "$(wc -l <"$tmp/declared")" -gt 60 ] || { echo "few functions found in the headers" >&2; exit 1; }
[ -z "$(uniq -d "$tmp/declared")" ] || { echo "declared twice: $(uniq -d "$tmp/declared")" >&2; exit 1; }

version=$(sed -nE 's/^#define BW_VERSION_(MAJOR|MINOR) //p' "$BW_SOURCE/include/blockwise/version.h" | paste -sd.)
case $version in 0.*) ;; *) version=${version%%.*} ;; esac
sed "s/\$/@@BLOCKWISE_$version/" "$tmp/declared" >"$tmp/want"
exported "$library" >"$tmp/got"
diff "$tmp/want" "$tmp/got" || { echo "headers (<) and exported symbols (>) differ" >&2; exit 1; }
soname=$(readelf -d "$library" | sed -nE 's/.*SONAME.*\[(.*)\]/\1/p')
[ "$soname" = "libblockwise.so.$version" ] || { echo "the library is called $soname" >&2; exit 1; }
echo "$(wc -l <"$tmp/got") functions, BLOCKWISE_$version, $soname"
