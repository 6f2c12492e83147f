#!/usr/bin/env bash
# loss.name cross-entropy: classes come from the data, and data without labels is refused before training.
set -u
source "$(dirname "$0")/lib/expect.sh"
small=("${tiny[@]}" --set loss.name=cross-entropy --set train.batch=4 --set 'projector.widths=[]')

# Three classes of images, two in each; and the same without classes.
for class in cat dog fox; do
  mkdir -p "$work/classes/$class" "$work/flat"
  cp "$BW_FIXTURES/images/rgb.jpg" "$BW_FIXTURES/images/grey.png" "$work/classes/$class/"
  cp "$BW_FIXTURES/images/rgb.jpg" "$work/flat/$class.jpg"
  cp "$BW_FIXTURES/images/rgba.png" "$work/flat/$class.png"
done

run=$work/run
expect 0 "loss" pretrain --data "$work/classes" --out "$run" "${small[@]}"
checks=$((checks + 1))
grep -q '^ *classes: 3$' "$run/config.yaml" || fail "config.yaml has no loss.classes 3: $(grep classes "$run/config.yaml")"
grep -q '"top1":\[' "$run/metrics.jsonl" || fail "no top1 in: $(cat "$run/metrics.jsonl")"
expect 0 "" inspect "$run/heads.safetensors"
says 'blocks.4.projector.0.weight +F32 +\[3, 64\]'
says 'blocks.4.projector.0.bias +F32 +\[3\]'

# The same settings go on with the run: loss.classes is open in them and 3 in the run's.
expect 0 "" pretrain --data "$work/classes" --out "$run" "${small[@]}" --resume
rm "$run/finished"
expect 0 "" pretrain --data "$work/classes" --out "$run" "${small[@]}" --resume
expect 2 "loss.classes: the run was started with 3 and cannot be continued with 5" \
  pretrain --data "$work/classes" --out "$run" "${small[@]}" --set loss.classes=5 --resume
mkdir -p "$work/classes/owl" && cp "$work/flat/cat.jpg" "$work/classes/owl/"
rm "$run/finished"
expect 2 "loss.classes: 3 is less than the 4 classes of $work/classes" \
  pretrain --data "$work/classes" --out "$run" "${small[@]}" --resume
rm -r "$work/classes/owl"

expect 0 "" pretrain --data "$work/classes" --out "$work/more" "${small[@]}" --set loss.classes=7 --set train.steps=0
expect 2 "loss.classes: 2 is less than the 3 classes of $work/classes" \
  pretrain --data "$work/classes" --out "$work/none" "${small[@]}" --set loss.classes=2
expect 3 "$work/flat: images of format folder without labels; loss.name cross-entropy needs classes" \
  pretrain --data "$work/flat" --out "$work/none" "${small[@]}"
mkdir -p "$work/one/cat" && cp "$work"/flat/* "$work/one/cat/"
expect 3 "only one class" pretrain --data "$work/one" --out "$work/none" "${small[@]}"

# Losses may be mixed; what a block does not have is null.
expect 0 "" pretrain --data "$work/classes" --out "$work/mixed" "${small[@]}" --set loss.name=vicreg \
  --set 'projector.widths=[16]' --set 'blocks[2].loss.name=cross-entropy' --set 'blocks[3].loss.name=simclr' \
  --set 'blocks[2].loss.classes=auto' --set 'blocks[4].loss.name=barlow-twins'
checks=$((checks + 1))
grep -qE '"top1":\[null,[0-9.]+,null,null\]' "$work/mixed/metrics.jsonl" &&
  grep -qE '"contrast_top1":\[null,null,[0-9.]+,null\]' "$work/mixed/metrics.jsonl" &&
  grep -qE '"invariance":\[[0-9.e-]+,null,null,null\]' "$work/mixed/metrics.jsonl" &&
  grep -qE '"on_diag":\[null,null,null,[0-9.e-]+\]' "$work/mixed/metrics.jsonl" ||
  fail "terms of mixed losses: $(cat "$work/mixed/metrics.jsonl")"
expect 0 "" inspect "$work/mixed/heads.safetensors"
says 'blocks.2.projector.0.bias +F32 +\[3\]'
rm "$work/mixed/finished"
expect 0 "" pretrain --data "$work/classes" --out "$work/mixed" --resume
expect 3 "loss.name cross-entropy needs classes" pretrain --data "$work/flat" --out "$work/none" "${tiny[@]}" \
  --set train.batch=4 --set 'blocks[4].loss.name=cross-entropy'

# A block that is only carried along needs its classifier, but no labels.
expect 0 "" pretrain --data "$work/flat" --out "$work/carried" "${tiny[@]}" --set train.batch=4 --set 'train.blocks=[2]' \
  --set 'blocks[1].loss.name=cross-entropy' --set 'blocks[1].loss.classes=3'

# STL-10: five labelled images and three without.
mkdir "$work/stl"
head -c $((5 * 27648)) /dev/zero >"$work/stl/train_X.bin"
printf '\1\2\3\4\12' >"$work/stl/train_y.bin"
head -c $((3 * 27648)) /dev/zero >"$work/stl/unlabeled_X.bin"
expect 3 "3 of 8 images have no label \(the first is unlabeled_X.bin\[0\]\)" \
  pretrain --data "$work/stl" --out "$work/none" "${small[@]}"
checks=$((checks + 1))
[ ! -e "$work/none" ] || fail "a refused run left a folder"

# Without data a number of classes is assumed, and that is said.
expect 0 "loss.classes is not set .*: 1000 is assumed" plan "${small[@]}" --gflops 10
expect 0 "loss.classes is not set .*: 1000 is assumed" bench step "${small[@]}" --steps 1 --warmup 0
expect 0 "^machine" bench step "${small[@]}" --steps 1 --warmup 0 --set loss.classes=3 --data "$work/flat"
checks=$((checks + 1))
printf '%s\n' "$stderr" | grep -q assumed && fail "loss.classes was given, and another is assumed: $stderr"
finish
