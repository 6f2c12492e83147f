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

# What ranks send in a step: counted as the formula has it, for every loss and way to share.
counted() {
  stdout=$(timeout 100 $BW_MPIRUN "$1" "$BLOCKWISE" bench comm --step --quiet "${tiny[@]}" "${@:2}") || fail "$*: exit status $?"
  checks=$((checks + 1))
  printf '%s\n' "$stdout" | awk '/^[0-9]+-[0-9]+ / { n++; if ($(NF - 1) != $(NF - 2) || $NF <= 0) exit 1 } END { exit !n }' ||
    fail "$*: counter and formula differ: $stdout"
}
for loss in $("$BLOCKWISE" list losses | grep -vx custom); do # what a custom one sends nobody knows
  counted 2 --set "loss.name=$loss"
done
says '^simultaneous resnet18, 16 px, batch 16, f32, 2 x 1 ranks'
says '^1-4 +sums of gradients +8 ' # of each block's head and projector, and of its trunk
says '^all ranks send [0-9]+ bytes a step, [0-9]+ a sample$'
counted 4 --set train.order=end-to-end --set train.split=2
says '^1-1 +sums of gradients +1 '
# Rows: each counts its own blocks. Activations are those of the formula, with a head and labels of less than 1 kB.
stdout=$(timeout 100 $BW_MPIRUN 4 "$BLOCKWISE" bench comm --step --quiet "${tiny[@]}" --set parallel.block=2) || fail "exit status $?"
checks=$((checks + 1))
printf '%s\n' "$stdout" | awk '/^[0-9]-[0-9] +activations/ { n++; more = $(NF - 1) - $(NF - 2); if ($1 != "1-2" || more > 0 || more < -1000) exit 1; next }
  /^[0-9]-[0-9] / { n++; if ($(NF - 1) != $(NF - 2) || $NF <= 0) exit 1 } END { exit n != 5 }' ||
  fail "rows: counter and formula differ: $stdout"
stdout=$(timeout 100 $BW_MPIRUN 2 "$BLOCKWISE" bench comm --step --quiet "${tiny[@]}" --json) || fail "exit status $?"
for key in order arch image_size batch data block rows first_block last_block sent what calls bytes formula_calls \
  formula_bytes wire_bytes wire_bytes_per_step wire_bytes_per_sample; do
  says "\"$key\": "
done
finish
