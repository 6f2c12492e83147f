#!/usr/bin/env bash
# What became of each block: a table at the end of `pretrain` and in `inspect`, and a warning of a collapse that
# --quiet does not silence.
set -u
source "$(dirname "$0")/lib/expect.sh"
make_data "$work/data" 4
pretrain=(pretrain --data "$work/data" "${tiny[@]}" --set health.every=6)

# not_said PATTERN: stderr of the last expect does not have it.
not_said() {
  checks=$((checks + 1))
  printf '%s\n' "$stderr" | grep -qE -- "$1" && fail "'$1' is in: $stderr"
}

expect 0 "^block +loss +on_diag +off_diag +embedding std +effective rank +dead channels % +grad norm +verdict$" \
  "${pretrain[@]}" --out "$work/run" --set train.epochs=8
number='[0-9.e+-]+'
row="^ +4 +$number -> $number +$number +$number +$number -> $number +$number -> $number +$number -> $number +$number +(learnt|weak|did not learn)$"
printf '%s\n' "$stderr" | grep -qE -- "$row" || fail "no row of block 4: $stderr"
expect 0 "" inspect "$work/run"
says "$row"
expect 0 "" inspect "$work/run" --json
says '"verdict": "(learnt|weak|did not learn)"'
says '"effective_rank_max": 16'

expect 0 "" "${pretrain[@]}" --out "$work/quiet" --quiet
not_said .
expect 0 "^blocks 1, 2, 3, 4: 3 steps; a verdict takes 20$" "${pretrain[@]}" --out "$work/short"
printf '%s\n' "$stderr" | grep -qE "too short to say$" || fail "three steps are judged: $stderr"
not_said "^warning"
expect 0 "" "${pretrain[@]}" --out "$work/random" --set train.steps=0
not_said "verdict"
expect 0 "" inspect "$work/random"

# Nothing keeps the embeddings apart.
collapse=(--set loss.name=vicreg --set loss.variance=0 --set loss.covariance=0 --set train.epochs=10
  --set optimizer.name=sgd --set optimizer.lr=1 --set optimizer.weight_decay=0.01)
expect 0 "^warning: block 1 has collapsed: embedding std .*; try a smaller optimizer.lr" \
  "${pretrain[@]}" "${collapse[@]}" --out "$work/collapse" --quiet
not_said "^block"
finish
