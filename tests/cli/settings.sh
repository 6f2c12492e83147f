#!/usr/bin/env bash
# Settings as users give them: what the log says of defaults and of single blocks, extended files, and runs that go
# on.
set -u
source "$(dirname "$0")/lib/expect.sh"
data=$work/data
make_data "$data" 4
pretrain=(pretrain --data "$data" "${tiny[@]}" --set train.steps=1)

# logged LINE: the standard error of the last expect has this line.
logged() {
  checks=$((checks + 1))
  printf '%s\n' "$stderr" | grep -qE -- "$1" || fail "'$1' is not in: $stderr"
}

# Defaults that follow from others.
expect 0 "lr 0.7 x 16/256 = 0.04375 \(default of lars at batch 16; " "${pretrain[@]}" --out "$work/small"
logged '^defaults: loss.scale 0.024, head.dim 64$'
expect 0 "lr 0.05 x 16/256 = 0.003125 \(default of sgd at batch 16; optimizer.lr sets it\)" "${pretrain[@]}" --out "$work/sgd" --set optimizer.name=sgd
expect 0 "lr 0.7 x 16/256 = 0.04375 \(default of lars at batch 16; " "${pretrain[@]}" --recipe imagenet-small-batch \
  --out "$work/auto"
expect 0 "^defaults: .*head.pool gsp \(end to end\), noise.kind none \(end to end\)" "${pretrain[@]}" --out "$work/e2e" \
  --set train.order=end-to-end

# Single blocks: the log, config.yaml, and going on.
expect 0 "^block 2: optimizer.name sgd, optimizer.lr 0.05$" "${pretrain[@]}" --out "$work/blocks" \
  --set 'blocks[2].optimizer.name=sgd' --set 'blocks[4].head.pool=gsp'
logged '^block 4: head.pool gsp$'
checks=$((checks + 1))
grep -A 2 '^blocks\[4\]:' "$work/blocks/config.yaml" | grep -q '^    pool: gsp$' || fail "config.yaml has no block 4"
expect 0 "" "${pretrain[@]}" --out "$work/blocks" --resume --set 'blocks[4].head.pool=gsp'
expect 2 "cannot go on with this run: blocks\[4\].head.pool: the run was started with gsp and cannot be continued with cbe" \
  "${pretrain[@]}" --out "$work/blocks" --resume --set 'blocks[4].head.pool=cbe'
expect 0 "" inspect "$work/blocks/model.safetensors"

# Files that begin with others.
printf 'optimizer.schedule: constant\n' >"$work/base.yaml"
printf 'train.batch: 8\nextends: base.yaml\n' >"$work/mine.yaml"
expect 0 "" "${pretrain[@]}" --config "$work/mine.yaml" --out "$work/extended"
checks=$((checks + 1))
grep -q 'schedule: constant' "$work/extended/config.yaml" || fail "the extended file was not read"
printf 'seed: 1\nextends: nowhere\n' >"$work/lost.yaml"
expect 2 "lost.yaml:2: extends: unknown recipe 'nowhere'; there are: .*cifar10" "${pretrain[@]}" \
  --config "$work/lost.yaml" --out "$work/r"
printf 'extends: circle.yaml\n' >"$work/circle.yaml"
expect 2 "circle.yaml:1: extends: 'circle.yaml' leads back to itself" "${pretrain[@]}" --config "$work/circle.yaml" \
  --out "$work/r"

# What a file gave in vain is said; what is told in vain is refused.
expect 0 "^warning: optimizer.eta: 0.02 has no effect, no block has optimizer.name lars" "${pretrain[@]}" \
  --recipe cifar10 --out "$work/vain" --set optimizer.name=sgd
expect 2 "optimizer.eta: 0.5 has no meaning with optimizer.name sgd; what takes it is optimizer.name lars" \
  "${pretrain[@]}" --out "$work/r" --set optimizer.name=sgd --set optimizer.eta=0.5
[ ! -e "$work/r" ] || fail "a run that did not begin left its folder"
finish
