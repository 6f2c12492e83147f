#!/usr/bin/env bash
# model.cuts and heads from the command line: what is trained end to end is evaluated at every cut; plan, bench
# step and inspect show as many blocks as there are; what cannot be is refused before anything is written.
set -u
source "$(dirname "$0")/lib/expect.sh"

# blocks_of KEY: how often `"KEY": N` stands in the last standard output, and its largest N.
blocks_of() {
  printf '%s\n' "$stdout" | sed -n "s/^ *[{]* *\"$1\": \([0-9]*\),\{0,1\}.*\$/\1/p" | sort -n | tail -1
}
is_last_block() {
  checks=$((checks + 1))
  [ "$(blocks_of block)" = "$1" ] || fail "the last block is not $1: $stdout"
}

make_data "$work/data" 4
whole=("${tiny[@]}" --set train.order=end-to-end --set 'model.cuts=[1,5]')

# End to end: one block in training, three in evaluation.
expect 0 "" pretrain --data "$work/data" --out "$work/whole" "${whole[@]}" --quiet
checks=$((checks + 1))
[ "$(grep -c '"loss":\[[0-9.e+-]*\]' "$work/whole/metrics.jsonl")" = 3 ] ||
  fail "not one loss a step: $(cat "$work/whole/metrics.jsonl")"
expect 0 "" inspect "$work/whole" --json
is_last_block 3
expect 0 "" probe "$work/whole" --data "$work/data" --json --quiet
is_last_block 3
expect 0 "" knn "$work/whole" --data "$work/data" --k 3 --json --quiet
is_last_block 3
for block in 1 2 3; do
  expect 0 "" embed "$work/whole" --data "$work/data" --block "$block" --feature head --out "$work/e$block.npy" --quiet
  expect 0 "" embed "$work/whole" --data "$work/data" --block "$block" --feature trunk --out "$work/t$block.npy" --quiet
  checks=$((checks + 1))
  # gsp is the trunk's own feature in every block
  cmp -s "$work/e$block.npy" "$work/t$block.npy" || fail "block $block: head and trunk features differ"
done
expect 2 'block' embed "$work/whole" --data "$work/data" --block 4 --out "$work/none.npy" --quiet

# Weights go between orders and cuts: the last block's projector fits, since gsp is as wide as head.dim.
expect 0 '2 of 6 heads and projectors taken over|1 of 6 heads and projectors taken over' \
  pretrain --data "$work/data" --out "$work/blockwise" "${tiny[@]}" --set 'model.cuts=[1,5]' --init "$work/whole"
# A block of that number that ends elsewhere is another block, though its projector would fit.
expect 0 "4 of 6 heads and projectors taken over" \
  pretrain --data "$work/data" --out "$work/elsewhere" "${tiny[@]}" --set 'model.cuts=[1,4]' --init "$work/blockwise"
expect 0 'trunk and heads taken over' \
  pretrain --data "$work/data" --out "$work/again" "${whole[@]}" --init "$work/blockwise"

# A block for every unit: a line that can be read, and a row for each.
expect 0 'loss of 16 blocks [0-9.]+ to [0-9.]+' \
  pretrain --data "$work/data" --out "$work/units" "${tiny[@]}" --set model.arch=resnet34 \
  --set model.cuts=units
expect 0 "" inspect "$work/units" --json
is_last_block 16
expect 0 "" plan --set model.arch=resnet101 --set model.cuts=units --set train.batch=2 --gflops 100 --json
is_last_block 33

for setting in model.cuts=units 'model.cuts=[]' 'model.cuts=[3,6]' head.filter=3 head.stride=2 head.pool=lsp \
  head.pool=gsp train.order=end-to-end train.order=sequential; do
  expect 0 "" plan "${tiny[@]}" --set "$setting" --gflops 100 --json
  expect 0 "" bench step "${tiny[@]}" --set "$setting" --steps 1 --warmup 1 --json --quiet
done

expect 2 'model.cuts: there is nothing to cut behind unit 8: this network has 8 residual units' \
  pretrain --data "$work/data" --out "$work/none" "${tiny[@]}" --set 'model.cuts=[8]'
expect 2 'head.dim: 24 values do not make a grid' \
  pretrain --data "$work/data" --out "$work/none" "${tiny[@]}" --set head.pool=lsp --set head.dim=24
checks=$((checks + 1))
[ ! -e "$work/none" ] || fail "a refused run left a folder"
finish
