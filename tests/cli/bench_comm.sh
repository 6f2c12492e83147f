#!/usr/bin/env bash
# `bench comm` measures what training asks of its ranks; one of them prints.
set -u
source "$(dirname "$0")/lib/expect.sh"
[ -n "${BW_MPIRUN:-}" ] || exit 77

expect 2 "there is one rank, and nobody to talk to; start it with mpirun" bench comm
for ranks in 2 4; do
  checks=$((checks + 2))
  stdout=$(timeout 100 $BW_MPIRUN $ranks "$BLOCKWISE" bench comm --steps 2 --quiet) || fail "exit status $?"
  says "^$ranks ranks on 1 machine, "
  [ "$(printf '%s\n' "$stdout" | grep -c '^operation ')" = 1 ] || fail "not one table: $stdout"
  for what in 'sum of f64' 'sum of f32 beside' gather send; do
    says "^$what +[0-9]+ +[0-9.]+ +[0-9]+ +[0-9.]+$"
  done
done
stdout=$(timeout 100 $BW_MPIRUN 2 "$BLOCKWISE" bench comm --steps 1 --quiet --json) || fail "exit status $?"
for key in ranks machines mpi operations operation bytes repeats seconds bytes_sent mbit_per_s; do
  says "\"$key\": "
done
finish
