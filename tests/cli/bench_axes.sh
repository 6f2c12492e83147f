#!/usr/bin/env bash
# `bench step` takes every order with every head and every loss; what makes no sense is refused, exit status 2.
set -u
source "$(dirname "$0")/lib/expect.sh"
step=(bench step "${tiny[@]}" --set train.batch=8 --set data.image_size=16 --steps 1 --warmup 0 --quiet)

for order in simultaneous sequential end-to-end; do
  for head in 'pool: gsp' 'pool: lsp' 'pool: cbe' 'pool: cbe, filter: 3' 'pool: cbe, stride: 2'; do
    for loss in $("$BLOCKWISE" list losses | grep -v '^custom$'); do # that one is a program's own
      expect 0 "" "${step[@]}" --set "train.order=$order" --set "head={$head}" --set "loss.name=$loss"
      says '^step [0-9.]+ s \(median\), [0-9.]+ samples/s'
    done
  done
  for head in 'pool: gsp, filter: 3' 'pool: lsp, filter: 3' 'pool: gsp, stride: 2' 'pool: lsp, stride: 2' 'pool: gsp, dim: 24'; do
    expect 2 'head\.(filter|stride|dim): [0-9]+ has no meaning with head.pool' "${step[@]}" --set "train.order=$order" \
      --set "head={$head}"
  done
  for kind in all hw c; do
    expect 0 "" "${step[@]}" --set "train.order=$order" --set "noise.kind=$kind"
  done
  for name in lars sgd adamw; do
    for schedule in cosine step constant; do
      expect 0 "" "${step[@]}" --set "train.order=$order" --set "optimizer={name: $name, schedule: $schedule}"
    done
  done
done

# A batch in parts and chosen blocks; a sequential run has the steps of every block timed, so all are done.
for order in simultaneous sequential; do
  expect 0 "" "${step[@]}" --set "train.order=$order" --set train.split=4 --set 'train.blocks=[2,3]'
done
expect 0 "" "${step[@]}" --set train.order=end-to-end --set train.split=2 --profile
expect 0 "" "${step[@]}" --set train.order=sequential --profile
says '^optimizer +update .* 1$'

# Blocks that differ from each other, and the mistakes in naming them.
expect 0 "" "${step[@]}" --set 'blocks[1].head.pool=gsp' --set 'blocks[2].loss.name=simclr' \
  --set 'blocks[3]={noise: {kind: hw}, projector.widths: [24]}' --set 'blocks[4].optimizer.name=adamw'
expect 2 "blocks\[5\].head.pool: there is no block 5: model.cuts stages makes blocks 1 to 4" "${step[@]}" \
  --set 'blocks[5].head.pool=gsp'
expect 2 "there is no block 2: train.order end-to-end" "${step[@]}" --set train.order=end-to-end \
  --set 'blocks[2].head.pool=gsp'
expect 2 "blocks are counted from 1" "${step[@]}" --set 'blocks[0].head.pool=gsp'
expect 2 "train.batch has no value of its own for single blocks" "${step[@]}" --set 'blocks[1].train.batch=8'
expect 2 "head.dim" "${step[@]}" --set head.pool=lsp --set head.dim=24
expect 2 "train.batch: '1' is out of range" "${step[@]}" --set loss.name=simclr --set train.batch=1
expect 2 "train.split: 3 parts do not divide train.batch 8" "${step[@]}" --set train.split=3
expect 2 "loss.temperature: 0.5 has no meaning with loss.name barlow-twins" "${step[@]}" --set loss.temperature=0.5
finish
