#!/usr/bin/env bash
# label: slow (packs the plain library, which a sanitizer build is not)
# The Debian packages: what is in them, what they need, and that the program runs from an unpacked one.
set -euo pipefail
unset BLOCKWISE_RECIPES
for need in dpkg-shlibdeps file; do command -v $need >/dev/null || { echo "no $need here"; exit 77; }; done
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
checks=0
fail() { echo "package: $*" >&2; exit 1; }
has() { checks=$((checks + 1)); grep -qE -- "$2" "$1" || fail "'$2' is not in $(cat "$1")"; }

(cd "$tmp" && cpack --config "$(dirname "$BLOCKWISE")/CPackConfig.cmake" -B "$tmp") >"$tmp/log" 2>&1 || fail "$(cat "$tmp/log")"
for name in blockwise libblockwise-dev python3-blockwise; do
    set -- "$tmp/$name"_*.deb
    [ -f "$1" ] || fail "no package $name: $(cat "$tmp/log")"
    dpkg-deb --field "$1" >"$tmp/$name.control"
    dpkg-deb --fsys-tarfile "$1" | tar -t | sed 's,^[.],,' >"$tmp/$name.files"
    dpkg-deb --extract "$1" "$tmp/$name"
    has "$tmp/$name.control" "^Version: [0-9.]+-1$"
    has "$tmp/$name.control" "^Description: self-supervised pretraining"
    for doc in copyright changelog.gz changelog.Debian.gz; do has "$tmp/$name.files" "^/usr/share/doc/$name/$doc$"; done
    has "$tmp/$name/usr/share/doc/$name/copyright" "Permission is hereby granted" # of what the pages hold
    checks=$((checks + 1))
    named=$(grep -rlaF -- "$BW_SOURCE" "$tmp/$name" || true)
    [ -z "$named" ] || fail "these name the folder of the sources: $named"
done
for library in libc6 libdnnl2 libgomp1 libyaml-0-2; do has "$tmp/blockwise.control" "^Depends: .*$library\b"; done
has "$tmp/libblockwise-dev.control" "^Depends: blockwise \(= [0-9.]+-1\)"
for file in bin/blockwise share/blockwise/recipes/cifar10.yaml share/man/man1/blockwise.1.gz \
    share/man/man1/blockwise-data-check.1.gz share/man/man5/blockwise-config.5.gz \
    share/bash-completion/completions/blockwise share/zsh/vendor-completions/_blockwise \
    share/fish/vendor_completions.d/blockwise.fish; do
    has "$tmp/blockwise.files" "^/usr/$file$"
done
has "$tmp/blockwise.files" "/libblockwise[.]so[.][0-9]+[.][0-9]+$"
has "$tmp/libblockwise-dev.files" "/libblockwise[.]so$"
has "$tmp/libblockwise-dev.files" "/libblockwise[.]a$"
has "$tmp/libblockwise-dev.files" "/pkgconfig/blockwise[.]pc$"
has "$tmp/libblockwise-dev.files" "/cmake/blockwise/blockwiseConfig[.]cmake$"
has "$tmp/libblockwise-dev.files" "^/usr/include/blockwise/blockwise[.]h$"
twice=$(cat "$tmp"/*.files | grep -v '/$' | sort | uniq -d)
[ -z "$twice" ] || fail "in two packages: $twice"

has "$tmp/python3-blockwise.files" "^/usr/lib/python3/dist-packages/blockwise/__init__[.]py$"
has "$tmp/python3-blockwise.control" "^Depends: blockwise .*python3, python3-numpy"
dpkg-deb --ctrl-tarfile "$tmp"/blockwise_*.deb | tar -t >"$tmp/said"
for control in shlibs triggers; do has "$tmp/said" "^[.]/$control$"; done

program=$tmp/blockwise/usr/bin/blockwise
"$program" --version >"$tmp/said"
has "$tmp/said" "^blockwise [0-9]"
"$program" list recipes >"$tmp/said"
[ "$(wc -l <"$tmp/said")" = "$(ls "$BW_SOURCE"/recipes/*.yaml | wc -l)" ] || fail "recipes: $(cat "$tmp/said")"
zcat "$tmp/blockwise/usr/share/man/man1/blockwise-probe.1.gz" >"$tmp/said"
has "$tmp/said" '^[.]TH BLOCKWISE'
echo "$checks checks passed"
