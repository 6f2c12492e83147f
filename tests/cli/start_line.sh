#!/usr/bin/env bash
# At the start one line tells processor, instruction set, cores, type and threads; what makes the run slower
# than the machine could is a warning.
set -u
source "$(dirname "$0")/lib/expect.sh"
unset BLOCKWISE_MAX_ISA OMP_NUM_THREADS ONEDNN_MAX_CPU_ISA DNNL_MAX_CPU_ISA
short=("${tiny[@]}" --steps 1 --warmup 0)
line='^machine: .+, (AVX|SSE|generic)[^,]* \(oneDNN [0-9.]+\), [0-9]+ of [0-9]+ cores, f32, 1 thread$'

# lacks PATTERN: the last stderr has no such line.
lacks() {
  checks=$((checks + 1))
  if printf '%s\n' "$stderr" | grep -qE -- "$1"; then fail "'$1' is in: $stderr"; fi
}

expect 0 "$line" bench step "${short[@]}"
expect 0 "" bench step "${short[@]}" --quiet
lacks '^machine:'

make_data "$work/data" 4
expect 0 "$line" pretrain --data "$work/data" --out "$work/run" "${tiny[@]}"
lacks 'warning: .*OMP_NUM_THREADS'

expect 0 '^warning: threads: 4000 compute threads on [0-9]+ usable core' pretrain --data "$work/data" \
  --out "$work/many" "${tiny[@]}" --set train.steps=0 --set threads=4000 --quiet
OMP_NUM_THREADS=3999 expect 0 '^warning: OMP_NUM_THREADS=3999 is not used' pretrain --data "$work/data" \
  --out "$work/omp" "${tiny[@]:0:12}" --set train.steps=0
ONEDNN_MAX_CPU_ISA=SSE41 expect 0 '^warning: ONEDNN_MAX_CPU_ISA=SSE41 holds the instruction set at SSE4.1' \
  bench step "${short[@]}" --quiet
BLOCKWISE_MAX_ISA=plain expect 0 '^warning: BLOCKWISE_MAX_ISA=plain holds our own loops at plain, this processor has avx' \
  bench step "${short[@]}" --quiet
BLOCKWISE_MAX_ISA=best expect 0 '^warning: BLOCKWISE_MAX_ISA=best is not used' bench step "${short[@]}" --quiet
expect 0 '^block 1: .* GFLOP a step, head fused, [0-9.]+ MB saved, [0-9.]+ MB at most$' bench step "${short[@]}" --verbose
expect 0 '^block 4: .* head with a stored expansion, ' bench step "${short[@]}" --verbose
expect 0 "" bench step "${short[@]}"
lacks '^block 4:'
cores=$(nproc)
if [ "$cores" -gt 1 ]; then
  lacks 'only one core'
  first=$(taskset -cp $$ | sed 's/.*: //; s/[,-].*//')
  BLOCKWISE_ALL=$BLOCKWISE
  printf '#!/bin/sh\nexec taskset -c %s "%s" "$@"\n' "$first" "$BLOCKWISE" >"$work/one-core"
  chmod +x "$work/one-core"
  BLOCKWISE=$work/one-core expect 0 '^warning: only one core is usable of' bench step "${short[@]}" --quiet
  BLOCKWISE=$BLOCKWISE_ALL
  # A runtime that ties the main thread to one core leaves the others usable.
  OMP_PROC_BIND=true expect 0 "$(printf ', %d of [0-9]+ cores' "$cores")" bench step "${short[@]}"
  lacks 'only one core'
fi
# What there is to say of the images is said once: a run looks through a folder once.
mkdir "$work/photos"
cp "$BW_FIXTURES"/images/exif_?.jpg "$BW_FIXTURES"/images/grey*.png "$BW_FIXTURES"/images/rgb* "$work/photos"
expect 0 '^data: folder, no labels, [0-9]+ images; network: ' pretrain --data "$work/photos" --out "$work/once" "${tiny[@]}" \
  --set train.steps=0
checks=$((checks + 1))
lines=$(printf '%s\n' "$stderr" | grep -c 'images are left out')
[ "$lines" = 1 ] || fail "said $lines times that images are left out: $stderr"
finish
