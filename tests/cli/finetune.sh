#!/usr/bin/env bash
# `blockwise finetune`: its line, its JSON, its lists of labels and its refusals; and it never writes to MODEL.
set -u
source "$(dirname "$0")/lib/expect.sh"
data=$work/data
run=$work/run
make_data "$data" 4
expect 0 "" pretrain --train "$data" --out "$run" "${tiny[@]}" --set train.steps=0 --quiet
files() { (cd "$run" && find . -type f | sort | xargs cksum); }
before=$(files)
quick=(--data "$data" --epochs 1 --threads 1 --quiet)

expect 0 "" finetune "$run" "${quick[@]}" --label-fraction 1
says '^labels 1 \(48 images\): top-1 [0-9.]+, top-5 100\.00$'
says '^protocol: fine-tuning: 48 labelled images .* batch 16, 1 epochs, 3 steps, lr 0.002 \(trunk and head\) and 0.5'
expect 0 "" finetune "$run" "${quick[@]}" --label-fraction 0.1 --seed 3 --lr-trunk 0.01 --test-images 9 --json \
  --write-list "$work/ten.txt"
for key in images top1 top5 epochs batch steps lr_classifier loss; do says "\"$key\": [0-9]"; done
says '"label_fraction": 0\.1,'
says '"images": 4,'
says '"feature": "head",'
says '"lr_trunk": 0\.01,'
says '"protocol": "fine-tuning: 4 labelled images'
ten=$stdout
[ "$(wc -l <"$work/ten.txt")" = 4 ] || fail "the list does not have four names: $(cat "$work/ten.txt")"

# The default of the weight decay can be given, and nothing below it.
expect 0 "" finetune "$run" "${quick[@]}" --label-fraction 0.1 --seed 3 --lr-trunk 0.01 --test-images 9 --json --weight-decay 0
[ "$stdout" = "$ten" ] || fail "--weight-decay 0 gave: $stdout and without: $ten"
expect 2 "--weight-decay -1: not a number, 0 or above" finetune "$run" "${quick[@]}" --label-fraction 1 --weight-decay=-1

# The same seed, the same result; and 1 % lies inside 10 %.
expect 0 "" finetune "$run" "${quick[@]}" --label-fraction 0.1 --seed 3 --lr-trunk 0.01 --test-images 9 --json
[ "$stdout" = "$ten" ] || fail "the same seed gave: $stdout and before: $ten"
expect 0 "" finetune "$run" "${quick[@]}" --label-fraction 0.5 --seed 3 --write-list "$work/half.txt"
[ -z "$(comm -23 <(sort "$work/ten.txt") <(sort "$work/half.txt"))" ] || fail "the smaller list is not in the larger"
checks=$((checks + 3))

# A batch larger than the images there are.
expect 0 "batch 64 is larger than the 4 images with labels: 4 it is" \
  finetune "$run" --data "$data" --epochs 1 --threads 1 --label-list "$work/ten.txt" --batch 64 --feature trunk
says '^labels 0.0833333 \(4 images\)'

expect 2 "needs --label-fraction 0.01, 0.1 or 1, or --label-list FILE" finetune "$run" "${quick[@]}"
expect 2 "at most 1 \(1 % is 0.01\)" finetune "$run" "${quick[@]}" --label-fraction 10
expect 2 "not a number above 0" finetune "$run" "${quick[@]}" --label-fraction 0
expect 2 "give one" finetune "$run" "${quick[@]}" --label-fraction 1 --label-list "$work/ten.txt"
printf 'cat_1.jpg\n' >"$work/bad.txt"
expect 3 "bad.txt: 1 of 1 names are no images of the data set, the first is cat_1.jpg" \
  finetune "$run" "${quick[@]}" --label-list "$work/bad.txt"
expect 3 "nowhere.txt" finetune "$run" "${quick[@]}" --label-list "$work/nowhere.txt"
expect 1 "list.txt" finetune "$run" "${quick[@]}" --label-fraction 1 --write-list "$work/no/list.txt"
[ "$(files)" = "$before" ] || fail "the run's files changed"
checks=$((checks + 1))
finish
