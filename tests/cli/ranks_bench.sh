#!/usr/bin/env bash
# `bench step` under mpirun: the ranks share a batch, one of them speaks, and a batch that they cannot share
# evenly is refused.
set -u
source "$(dirname "$0")/lib/expect.sh"
[ -n "${BW_MPIRUN:-}" ] || exit 77
ranks=("${tiny[@]}" --set train.batch=12 --steps 2 --warmup 1 --quiet)
program=$BLOCKWISE

# on RANKS: expect starts the program on so many.
on() {
  printf '#!/bin/sh\nexec timeout 60 %s %s "%s" "$@"\n' "$BW_MPIRUN" "$1" "$program" >"$work/blockwise"
  chmod +x "$work/blockwise"
  BLOCKWISE=$work/blockwise
}

on 3
expect 0 "" bench step "${ranks[@]}" --profile
says '^simultaneous resnet18, 16 px, batch 12, f32, 3 ranks of 1 threads$'
says '^ranks +wait for gradients .* 4$'
[ "$(printf '%s\n' "$stdout" | grep -c samples/s)" = 1 ] || fail "more than one rank speaks: $stdout"
expect 0 "" bench step "${ranks[@]}" --json
says '"ranks": 3,'
says '"batch": 12,'
on 2
expect 0 "" bench step "${ranks[@]}" --set train.split=3
expect 2 'train.batch 9 cannot be dealt evenly to 2 ranks; take a multiple of 2' bench step "${ranks[@]}" --set train.batch=9
expect 2 'train.batch 12 cannot be dealt evenly to 2 ranks in the parts of train.split; take a multiple of 8' \
  bench step "${ranks[@]}" --set train.split=4
expect 2 'parallel.data 3 x parallel.block 1 needs 3 ranks, there are 2; start as many with mpirun -np' \
  bench step "${ranks[@]}" --set parallel.data=3
finish
