#!/usr/bin/env bash
# `plan` predicts what a run will take; a run that cannot fit says so before it has written anything, and
# names the largest batch that does.
set -u
source "$(dirname "$0")/lib/expect.sh"

# number KEY: of the JSON object in the last standard output.
number() {
  printf '%s\n' "$stdout" | sed -n "s/^  \"$1\": \([0-9.e+-]*\),\{0,1\}\$/\1/p"
}

small=("${tiny[@]}" --set data.image_size=32 --set model.width=16 --set train.batch=24)
expect 0 "" plan "${small[@]}" --images 240 --gflops 100
says '^simultaneous resnet18, width 16, stem cifar, 32 px, batch 24, f32, 1 threads$'
says '^ +4 +[0-9]+ +[0-9]+ +[0-9]+ +[0-9.]+ +[0-9.]+ +[0-9.]+$'
says ' MB  peak, of [0-9.]+ MB available here: fits$'
says '^run 10 steps of 24 of 240 images, at most 1 epochs: .* on 1 node, [0-9.e-]+ node-hours$'
expect 0 "" plan "${small[@]}" --images 240 --gflops 100 --nodes 3 --price 3600 --json
[ "$(number batch_of_a_node)" = 8 ] || fail "three nodes do not take 8 of 24 images each: $stdout"
awk -v cost="$(number cost)" -v step="$(number step_s)" 'BEGIN { exit !(cost > 29.9 * step && cost < 30.1 * step) }' ||
  fail "ten steps on three nodes at 1 a second: $stdout"
expect 2 'train.batch 24 cannot be dealt evenly to 20 ranks; take a multiple of 20$' plan "${small[@]}" --nodes 20
expect 2 'to 12 ranks in the parts of train.split; take a multiple of 48$' plan "${small[@]}" --nodes 12 --set train.split=4
expect 0 "" plan "${small[@]}" --nodes 24 --gflops 100 # an image each
expect 2 'only 7 images' plan "${small[@]}" --images 7
make_data "$work/data" 4
expect 0 "" plan "${small[@]}" --data "$work/data" --json --gflops 100
[ "$(number images)" = 48 ] || fail "--data: not 48 images: $stdout"
expect 0 "" plan --recipe paper-imagenet --gflops 100 --set train.batch=10000 --images 10000
says 'does not fit; the largest train.batch that does is [0-9]+$|does not fit, nor does any batch$'
expect 1 '^blockwise: bench step: train.batch 10000 needs about [0-9.]+ GB, [0-9.]+ [GM]B are available .*; (the largest train.batch that fits is [0-9]+|no batch fits)' \
  bench step --set train.batch=10000 --quiet
# Tensors that no memory would be enough for, nor the compute library's ints.
uncountable=("${tiny[@]}" --set data.image_size=1024 --set train.batch=65536 --set model.width=64)
expect 1 '^blockwise: plan: convolution 3x3/1 of f32 \[131072, 1024, 1024, 3\] to 64 channels is too large' \
  plan "${uncountable[@]}" --images 65536 --gflops 100
expect 1 '^blockwise: bench step: train.batch 65536: convolution .* is too large: .* fits' \
  bench step "${uncountable[@]}" --quiet
expect 1 'train.batch 2 needs about .*; no batch fits' \
  bench step --set 'projector.widths=[65536,65536,65536]' --set train.batch=2 --quiet

# A sanitizer takes memory of its own, and all of the address space.
if grep -q __asan_init "$BLOCKWISE"; then finish; exit; fi

# near WHAT SETTING...: the peak of a measured step is within a tenth of the plan's.
near() {
  local what=$1 planned
  shift
  expect 0 "" plan "$@" --json --gflops 100
  planned=$(number peak_bytes)
  expect 0 "" bench step "$@" --steps 1 --warmup 1 --json --quiet
  checks=$((checks + 1))
  awk -v planned="$planned" -v measured="$(number peak_rss_mb)" \
    'BEGIN { r = planned / (measured * 1e6); exit !(r > 0.9 && r < 1.1) }' ||
    fail "$what: planned $planned bytes, measured $(number peak_rss_mb) MB"
}
near "smallest network" "${tiny[@]}"
near "activations" "${small[@]}" --set train.batch=48
near "end to end" "${small[@]}" --set train.order=end-to-end --set train.batch=48
near "projectors" "${tiny[@]}" --set 'projector.widths=[1024,1024]'

# So is the peak of a run that goes on from a checkpoint, which is as large as the weights.
resumed=("${tiny[@]}" --set 'projector.widths=[1024,1024]')
expect 0 "" plan "${resumed[@]}" --json --gflops 100
planned=$(number peak_bytes)
expect 0 "" pretrain --data "$work/data" --out "$work/run" "${resumed[@]}" --set checkpoint.every=1 --quiet
rm "$work/run/finished" "$work/run/checkpoints/step-00000003.safetensors"
expect 0 "" pretrain --data "$work/data" --out "$work/run" "${resumed[@]}" --resume --quiet
measured=$(tail -n 1 "$work/run/metrics.jsonl" | sed 's/.*"peak_rss_mb": *\([0-9.]*\).*/\1/')
awk -v planned="$planned" -v measured="$measured" 'BEGIN { r = planned / (measured * 1e6); exit !(r > 0.9 && r < 1.1) }' ||
  fail "resumed: planned $planned bytes, measured $measured MB"

# The batch that is named under a limit does run under it.
printf '#!/bin/sh\nulimit -v 900000\nexec "%s" "$@"\n' "$BLOCKWISE" >"$work/limited"
chmod +x "$work/limited"
BLOCKWISE=$work/limited
expect 1 'available under the limit of address space, ulimit -v; the largest train.batch that fits is [0-9]+' \
  bench step "${small[@]}" --set train.batch=4000 --quiet
batch=$(printf '%s' "$stderr" | sed 's/.*that fits is \([0-9]*\).*/\1/')
expect 0 "" bench step "${small[@]}" --set train.batch="$batch" --steps 1 --warmup 0 --quiet
expect 1 'needs about .* the largest train.batch that fits is ' pretrain --data "$work/data" --out "$work/new/run" \
  "${small[@]}" --set train.batch=48 --set data.image_size=100
split=$(printf '%s' "$stderr" | sed -n 's/.*with train.split: \([0-9]*\), this one fits too.*/\1/p')
[ -n "$split" ] || fail "no parts are named: $stderr"
expect 0 "" bench step "${small[@]}" --set train.batch=48 --set data.image_size=100 --set "train.split=$split" \
  --steps 1 --warmup 0 --quiet
[ ! -e "$work/new" ] || fail "a run that cannot fit left $work/new behind"
finish
