#!/usr/bin/env bash
# `bench step --trace`: what ranks do when, as the JSON that trace viewers read.
set -u
source "$(dirname "$0")/lib/expect.sh"
[ -n "${BW_MPIRUN:-}" ] || exit 77
program=$BLOCKWISE
step=("${tiny[@]}" --set train.batch=12 --steps 2 --warmup 1 --quiet)

# on RANKS: expect starts the program on so many.
on() {
  printf '#!/bin/sh\nexec timeout 60 %s %s "%s" "$@"\n' "$BW_MPIRUN" "$1" "$program" >"$work/blockwise"
  chmod +x "$work/blockwise"
  BLOCKWISE=$work/blockwise
}

# Events one a line: "ts dur rank track block name". Anything that is no such object is left as it is, and found.
events() {
  sed 's/},{"name/}\n{"name/g' "$work/trace.json" |
    sed -n 's/.*{"name":"\([^"]*\)","cat":"\([^"]*\)","ph":"X","ts":\([-0-9.e+]*\),"dur":\([-0-9.e+]*\),"pid":\([0-9]*\),"tid":\([0-9]*\),"args":{\("block":\([0-9]*\)\)\{0,1\}}.*/\3 \4 \5 \6 \8- \1/p'
}
# times COUNT RANK BLOCK NAME: so many spans.
times() {
  checks=$((checks + 1))
  local n
  n=$(events | grep -cE "^[-0-9.e+]+ [0-9.e+-]+ $2 [0-9] $3- $4\$")
  [ "$n" = "$1" ] || fail "$n spans of '$4' of block $3 on rank $2, not $1"
}

on 2
expect 0 "" bench step "${step[@]}" --trace "$work/trace.json"
for rank in 0 1; do
  for block in 1 2 3 4; do
    for pass in forward loss "backward of head" "backward of trunk" update "gradients of head" "gradients of trunk"; do
      times 2 $rank $block "$pass"
    done
  done
done
checks=$((checks + 3))
[ "$(events | grep -c ' ranks, sum of statistics$')" -gt 100 ] || fail "sums of statistics are missing"
[ "$(events | grep -c ' ranks, wait for gradients$')" = 16 ] || fail "waiting for gradients is missing"
grep -o '"ph":"M"' "$work/trace.json" | wc -l | grep -qx 12 || fail "not two ranks with five tracks each"
# A pass has a length, and lies in the measured steps; one follows the other; sums go on beside the pass that follows.
checks=$((checks + 2))
events | awk '$4 == 0 { if ($2 < 0 || $1 < 0 || $1 + 1 < end[$3]) exit 1; end[$3] = $1 + $2; n++ } END { exit n < 80 }' ||
  fail "passes of a rank overlap, or begin before the steps do"
events | awk '$6 == "gradients" && $8 == "trunk" && $3 == 0 { sum[$5] = $1 } $6 == "backward" && $8 == "trunk" && $3 == 0 { pass[$5] = $1 + $2 }
  END { for (b in pass) { n++; if (sum[b] < pass[b] - 1000) exit 1 } exit n != 4 }' || fail "gradients are summed before they are there"

expect 0 "" bench step "${step[@]}" --set parallel.block=2 --trace "$work/trace.json"
checks=$((checks + 1))
[ "$(events | grep -c ' 1 4 - activations$')" = 3 ] || [ "$(events | grep -c ' 1 4 - activations$')" = 2 ] ||
  fail "no activations received: $(events | grep activations)"
times 2 0 1 forward
times 0 1 1 forward
times 2 1 4 forward
times 0 0 4 forward

BLOCKWISE=$program
expect 0 "" bench step "${step[@]}" --trace "$work/trace.json"
times 2 0 4 update
expect 1 "$work/no/trace.json" bench step "${step[@]}" --trace "$work/no/trace.json"
printf '%s\n' "$stderr" | grep -q '^bench step ' && fail "--trace: found out after the steps: $stderr"
expect 2 "--trace and --data cannot be given together" bench step "${step[@]}" --trace "$work/trace.json" --data "$work"
finish
