#!/usr/bin/env bash
# The type of activations is refused where the processor cannot, picked by `auto` and written down; our own
# loops give a whole run the same bytes whatever the instruction set.
set -u
source "$(dirname "$0")/lib/expect.sh"
unset BLOCKWISE_MAX_ISA BLOCKWISE_BF16 ONEDNN_MAX_CPU_ISA DNNL_MAX_CPU_ISA
make_data "$work/data" 4
pretrain=(pretrain --data "$work/data" "${tiny[@]}" --set noise.kind=hw)

# holds FILE PATTERN
holds() {
  checks=$((checks + 1))
  grep -qE -- "$2" "$1" || fail "'$2' is not in $1: $(cat "$1")"
}

for path in plain avx2 avx512; do
  BLOCKWISE_MAX_ISA=$path expect 0 "" "${pretrain[@]}" --out "$work/$path"
  for file in model.safetensors heads.safetensors; do
    checks=$((checks + 1))
    cmp "$work/plain/$file" "$work/$path/$file" >&2 || fail "$file: $path gives other bytes than plain"
  done
done

DNNL_MAX_CPU_ISA=AVX2 expect 2 "dtype: bf16 needs a processor with AVX-512, and oneDNN .* set dtype f32 or auto" \
  "${pretrain[@]}" --out "$work/refused" --set dtype=bf16
[ ! -e "$work/refused" ] || fail "a refused run left a folder"
DNNL_MAX_CPU_ISA=AVX2 expect 0 "^machine: .* cores, f32, " "${pretrain[@]}" --out "$work/auto" --set dtype=auto
holds "$work/auto/config.yaml" "^dtype: f32$"

BLOCKWISE_BF16=emulate expect 0 "^machine: .* cores, bf16, " "${pretrain[@]}" --out "$work/bf16" --set dtype=bf16
printf '%s\n' "$stderr" | grep -q "^warning: BLOCKWISE_BF16=emulate" || fail "the imitation is not said: $stderr"
holds "$work/bf16/config.yaml" "^dtype: bf16$"
# What was learnt in bf16 is read and evaluated anywhere, in f32.
expect 0 "" knn "$work/bf16" --data "$work/data"
finish
