#!/usr/bin/env bash
# Completion in fish.
set -u
command -v fish >/dev/null || { echo "no fish here"; exit 77; }
source "$(dirname "$0")/lib/expect.sh"
cd "$work" || exit 1
unset BLOCKWISE_RECIPES
export HOME=$work PATH=$(dirname "$BLOCKWISE"):$PATH
mkdir photos
touch notes.txt

# offers LINE WORD...: in any order.
offers() {
  local line=$1 said
  shift
  checks=$((checks + 1))
  said=$(fish --no-config -c 'source $argv[1]; complete -C "$argv[2]"' "$BW_SOURCE/completions/blockwise.fish" "$line" |
    cut -f1 | sort)
  [ "$said" = "$(printf '%s\n' "$@" | sort)" ] || fail "fish: '$line': $said; not: $*"
}
offers "blockwise pro" probe
offers "blockwise data " check pack
offers "blockwise probe net --feature " head trunk both
offers "blockwise probe net --feature=t" --feature=trunk
offers "blockwise pretrain --set model.ar" model.arch=
offers "blockwise pretrain --set model.stem=c" model.stem=cifar
offers "blockwise pretrain --data p" photos/
offers "blockwise pretrain --config=no" --config=notes.txt
offers "blockwise probe net --threads " ""
finish
