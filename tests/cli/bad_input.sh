#!/usr/bin/env bash
# Every mistake gets its exit status and a message that says what, where, and what is near.
set -u
source "$(dirname "$0")/lib/expect.sh"
data=$work/data
make_data "$data" 4
pretrain=(pretrain --data "$data" "${tiny[@]}")

# The command line.
expect 2 "^blockwise: pretrain: needs --data PATH" pretrain --out "$work/r"
expect 2 "^blockwise: pretrain: needs --out RUN" pretrain --data "$data"
expect 2 "^blockwise: pretrain: needs --data PATH, .*, and --out RUN" pretrain
expect 2 "photos: images are named by an option: --data photos" pretrain photos --out "$work/r"
expect 2 "unknown option --recipie, the nearest is --recipe" pretrain --recipie cifar10
expect 2 "unknown option --epochs; it is a setting: --set train.epochs=VALUE" "${pretrain[@]}" --epochs 3
expect 2 "unknown option --weight-decay; it is a setting: --set optimizer.weight_decay=" "${pretrain[@]}" --weight-decay=0
expect 2 "unknown option -q; options have long names: --quiet" pretrain -q
expect 2 "option --data needs a value, and is followed by --out; see" pretrain --data --out "$work/r"
expect 2 "unknown option --resum3, the nearest is --resume" "${pretrain[@]}" --resum3
expect 2 "option --out needs a value" "${pretrain[@]}" --out
expect 2 "option --resume takes no value" "${pretrain[@]}" --out "$work/r" --resume=yes
expect 2 "option --re is short for several" "${pretrain[@]}" --re
expect 2 "stray: one argument too many" "${pretrain[@]}" --out "$work/r" stray
expect 2 "--set seed: want KEY=VALUE" "${pretrain[@]}" --out "$work/r" --set seed
expect 2 "--threads many: not a whole number" probe m --data "$data" --threads many
expect 2 "--feature tail: not one of head\|trunk\|both" probe m --data "$data" --feature tail
expect 2 "--block 0: not a whole number from 1" probe m --data "$data" --block 0
expect 2 "--k 20,x: |--k x: not a whole number" knn m --data "$data" --k 20,x
expect 2 "--temperature 0: not a number above 0" knn m --data "$data" --temperature 0
expect 2 "needs MODEL, a run folder or a file of weights; see" probe --data "$data"
expect 2 "needs MODEL, or --raw" knn --data "$data"
expect 2 "needs --data PATH" probe m
expect 2 "needs --test PATH" probe m --train "$data"
expect 2 "needs --out FILE" embed m --data "$data"
expect 3 "m: " export m --format onnx --out "$work/x.onnx"
expect 2 "belong to --format onnx" export m --feature head --out "$work/x.safetensors"
expect 2 "--format pickle: unknown" export m --format pickle --out "$work/x"

# Settings.
expect 2 "train.batch" "${pretrain[@]}" --out "$work/r" --set train.batc=8
printf 'seed: 1\nmodle:\n  width: 8\n' >"$work/typo.yaml"
expect 2 "typo.yaml:3: unknown key .modle.width.*model.width" pretrain --data "$data" --out "$work/r" --config "$work/typo.yaml"
expect 2 "model.width" "${pretrain[@]}" --out "$work/r" --set model.width=7
expect 2 "'vicregg' is not one of them, the nearest is 'vicreg'; allowed: " "${pretrain[@]}" --out "$work/r" --set loss.name=vicregg
expect 2 "unknown key 'optimiser.lr'; did you mean 'optimizer.lr'\?" "${pretrain[@]}" --out "$work/r" --set optimiser.lr=1
expect 2 "unknown key 'blocks\[2\].head.pol'; did you mean 'blocks\[2\].head.pool'" "${pretrain[@]}" --out "$work/r" --set 'blocks[2].head.pol=gsp'
expect 2 "unknown recipe 'cifra10'; there are: .*; did you mean 'cifar10'\?" pretrain --data "$data" --out "$work/r" --recipe cifra10
expect 2 "unknown recipe 'cifar'.*cifar10" pretrain --data "$data" --out "$work/r" --recipe cifar
expect 2 "48 images" "${pretrain[@]}" --out "$work/r" --set train.batch=49
expect 2 "train.batch" "${pretrain[@]}" --out "$work/r" --set train.batch=1
expect 2 "nowhere.yaml" pretrain --data "$data" --out "$work/r" --config "$work/nowhere.yaml"

# Data.
mkdir "$work/empty" "$work/texts"
echo words >"$work/texts/words.md"
expect 3 "nowhere" pretrain --data "$work/nowhere" --out "$work/r" "${tiny[@]}"
expect 3 "$work/txts: no such file or folder; did you mean '$work/texts'\?" data check "$work/txts"
expect 3 "$work/texts/more/a: no such file or folder; there is no $work/texts/more$" data check "$work/texts/more/a"
(cd "$work" && "$BLOCKWISE" data check nowhere) 2>"$work/stderr"
checks=$((checks + 1))
grep -q "^blockwise: data check: nowhere: no such file or folder in $work$" "$work/stderr" || fail "$(cat "$work/stderr")"
expect 3 "empty" pretrain --data "$work/empty" --out "$work/r" "${tiny[@]}"
expect 3 "texts" pretrain --data "$work/texts" --out "$work/r" "${tiny[@]}"
[ ! -e "$work/r" ] || fail "a run that did not begin left its folder"

# Files and folders. The one good run is the model of what follows.
expect 0 "" "${pretrain[@]}" --out "$work/run" --set train.steps=0
expect 2 "$work/run: exists" "${pretrain[@]}" --out "$work/run"
expect 2 "cannot go on with this run: .*seed" "${pretrain[@]}" --out "$work/run" --resume --set seed=5
expect 2 "is a file" "${pretrain[@]}" --out "$work/typo.yaml"
expect 1 "/proc/blockwise-run" "${pretrain[@]}" --out /proc/blockwise-run
model=$work/run/model.safetensors
head -c 1000 "$model" >"$work/truncated.safetensors"
{ printf '\377\377\377\377\377\377\377\177'; tail -c +9 "$model"; } >"$work/lying.safetensors"
expect 3 "$work/truncated.safetensors: " inspect "$work/truncated.safetensors"
expect 3 "$work/lying.safetensors: " inspect "$work/lying.safetensors"
expect 3 "$work/lying.safetensors: " probe "$work/lying.safetensors" --data "$data"
expect 3 "$work/truncated.safetensors: " "${pretrain[@]}" --out "$work/r" --init "$work/truncated.safetensors"
expect 3 "model.safetensors" "${pretrain[@]}" --out "$work/r" --init "$model" --set model.width=16
expect 3 "model.safetensors" "${pretrain[@]}" --out "$work/r" --init "$model" --set model.arch=resnet34
expect 3 "nowhere" knn "$work/nowhere" --data "$data"
expect 3 "$work/rum: No such file or directory; did you mean '$work/run'\?" knn "$work/rum" --data "$data"
expect 3 "not a run folder" inspect "$work/empty"
expect 3 "nowhere" inspect "$work/nowhere"
expect 2 "--block 5: the model has blocks 1 to 4" probe "$work/run" --data "$data" --block 5
expect 1 "/dev/null/x" export "$model" --out /dev/null/x.safetensors
expect 1 "/dev/null/x" embed "$model" --data "$data" --out /dev/null/x.npy
make_data "$work/one" 1
expect 3 "class" probe "$work/run" --data "$work/one"

# Training that diverges.
expect 4 "block 1.*step|step.*block 1" "${pretrain[@]}" --out "$work/diverged" --set optimizer.name=sgd \
  --set optimizer.lr=1000 --set optimizer.weight_decay=1 --set train.epochs=20

# What is printed must arrive.
for broken in "$BLOCKWISE list archs >/dev/full" "$BLOCKWISE list archs >&-" "$BLOCKWISE pretrain --help >/dev/full"; do
  checks=$((checks + 1))
  bash -c "$broken" 2>"$work/stderr"
  code=$?
  [ $code = 1 ] || fail "$broken: exit status $code"
  grep -q 'cannot write to standard output' "$work/stderr" || fail "$broken: $(cat "$work/stderr")"
done
finish
