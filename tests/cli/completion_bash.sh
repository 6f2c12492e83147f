#!/usr/bin/env bash
# What the program offers to a shell, and what bash makes of it.
set -u
source "$(dirname "$0")/lib/expect.sh"
cd "$work" || exit 1
unset BLOCKWISE_RECIPES

# offers "WORDS" WORD...: what may stand in place of the last word; "" offers nothing.
offers() {
  local words
  mapfile -t words <<<"${1// /$'\n'}"
  expect 0 "" --complete "${words[@]}"
  shift
  checks=$((checks + 1))
  [ "$(printf '%s' "$stdout" | cut -f1)" = "$(printf '%s\n' "$@")" ] || fail "--complete ${words[*]}: $stdout; not: $*"
}
offers "pro" probe
offers "be" bench
offers "data " check pack
offers "bench s" step
offers "probe --fea" --feature
offers "probe net --feature " head trunk both
offers "probe net --feature=t" --feature=trunk
offers "export net --feature " head trunk
offers "probe --block " all
offers "probe --k" ""
offers "knn --epo" ""
offers "probe net --threads " ""
offers "probe " :files
offers "pretrain --data " :files
offers "pretrain --data=ph" :files
offers "embed net --out " :files
offers "finetune net --lr-trunk " ""
offers "bench comm x" ""
offers "list lo" losses
offers "pretrain --recipe cifar10-v" cifar10-vicreg
offers "plan --recipe=fash" --recipe=fashion-mnist-demo
offers "data check --format id" idx
offers "robustness --corruptions contrast,sh" contrast,shot_noise
offers "pretrain --set model.ar" model.arch=
offers "pretrain --set model.arch=resnet1" model.arch=resnet18 model.arch=resnet101
offers "pretrain --set train.recompute=" train.recompute=true train.recompute=false
offers "pretrain --set blocks[2].head.po" "blocks[2].head.pool="
offers "pretrain --set blocks[2].head.pool=g" "blocks[2].head.pool=gsp"
offers "pretrain --set blocks[2].train" ""
offers "pretrain --set a=1 --se" --set
offers "pretrain --data a --dat" ""
offers "probe -- --dat" :files
offers "nothing " ""

# Every verb of the overview is offered, and every option of its help.
overview=$("$BLOCKWISE" --help)
verbs=$(printf '%s\n' "$overview" | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\( [a-z]*\)\?\)  .*/\1/p')
[ "$(printf '%s\n' "$verbs" | wc -l)" -gt 10 ] || fail "no verbs in: $overview"
offers "" $(printf '%s\n' "$verbs" | cut -d' ' -f1 | uniq) --help --version
while read -r verb; do
  offered=$("$BLOCKWISE" --complete $verb -- | cut -f1)
  shown=$("$BLOCKWISE" $verb --help | sed -nE 's/^ {2,6}(-[?], )?(--[a-z-]+).*/\2/p' | grep -v usage)
  checks=$((checks + 1))
  [ "$(printf '%s\n' "$offered" | sort)" = "$(printf '%s\n' "$shown" | sort)" ] || fail "$verb: offered $offered, shown $shown"
done <<<"$verbs"

# bash: the function, called as readline calls it. words: as readline splits the line.
source "$BW_SOURCE/completions/blockwise.bash"
compopt() { options="${options:-}$*;"; }
replies() {
  local line=$1 want=$2
  shift 2
  COMP_LINE=$line COMP_POINT=${#line} COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) options=
  _blockwise
  checks=$((checks + 1))
  [ "${COMPREPLY[*]}/$options" = "$want" ] || fail "bash: '$line': '${COMPREPLY[*]}/$options' instead of '$want'"
}
COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
b=$BLOCKWISE
replies "$b pro" "probe/" "$b" pro
replies "$b  bench  " "step loader matmul comm/" "$b" bench ""
replies "$b probe net --feature t" "trunk/" "$b" probe net --feature t
replies "$b probe net --feature=" "head trunk both/" "$b" probe net --feature =
replies "$b probe net --feature=t" "trunk/" "$b" probe net --feature = t
replies "$b pretrain --set model.ar" "model.arch=/-o nospace;" "$b" pretrain --set model.ar
replies "$b pretrain --set model.arch=resnet3" "resnet34/" "$b" pretrain --set model.arch = resnet3
replies "$b plan --set=model.stem=c" "cifar/" "$b" plan --set = model.stem = c
replies "$b probe ru" "/-o default;" "$b" probe ru
replies "$b pretrain --config=x" "/-o default;" "$b" pretrain --config = x
COMP_WORDBREAKS=$' \t\n'
replies "$b pretrain --set model.arch=resnet3" "model.arch=resnet34/" "$b" pretrain --set model.arch=resnet3
# The cursor inside of a word: what stands behind it does not count.
COMP_LINE="$b probe --fexyz" COMP_POINT=$((${#b} + 11)) COMP_WORDS=("$b" probe --fexyz) COMP_CWORD=2
_blockwise
checks=$((checks + 1))
[ "${COMPREPLY[*]}" = --feature ] || fail "bash: inside of a word: ${COMPREPLY[*]}"
finish
