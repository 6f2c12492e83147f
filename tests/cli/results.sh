#!/usr/bin/env bash
# From images to numbers and files: what the verbs print and write for one tiny run.
set -u
source "$(dirname "$0")/lib/expect.sh"
data=$work/data
run=$work/run
make_data "$data" 4

expect 0 "data: idx, 4 classes, 48 images; network: resnet18 width 8.*lr 0.7 x 16/256 = 0.04375 \(default of lars at batch 16; optimizer.lr sets it\)" \
  pretrain --train "$data" --out "$run" "${tiny[@]}"
[ "$stdout" = "$run/model.safetensors" ] || fail "pretrain prints: $stdout"
printf '%s\n' "$stderr" | grep -qE '^pretrain 100 %.*, loss( [0-9.e+-]+){4}, .* samples/s, .* MB, step 3/3, epoch 0$' ||
  fail "no line of progress with a loss for each block: $stderr"
expect 0 "lr 0.1 x 16/256 = 0.00625 \(--set\)" pretrain --data "$data" --out "$work/set" "${tiny[@]}" \
  --set optimizer.lr=0.1 --set train.steps=0
# A finished run stays as it is; its own settings are enough to resume.
cp "$run/model.safetensors" "$work/before"
expect 0 "" pretrain --data "$data" --out "$run" --resume --quiet
[ -z "$stderr" ] || fail "--quiet says: $stderr"
cmp "$run/model.safetensors" "$work/before" || fail "resuming a finished run changed its weights"

expect 0 "" probe "$run" --data "$data" --concat --feature both --epochs 20
says '^block +feature +top-1 +top-5'
for row in '1 +head' '4 +head' '1 +trunk' '4 +trunk' 'concat +head' 'concat +trunk'; do
  says "^$row +[0-9]+\.[0-9]{2} +[0-9]+\.[0-9]{2}"
done
says '^protocol: cached'
expect 0 "" probe "$run" --data "$data" --block 2 --epochs 3 --json --quiet
checks=$((checks + 1))
[ "$stdout" = "$(cat "$run/probe.json")" ] || fail "probe.json is not what --json prints"
says '"block": 2,'
[ "$(grep -c '"block"' "$run/probe.json")" = 1 ] || fail "--block 2 gives: $stdout"
expect 0 "" probe "$run" --data "$data" --protocol augmented --epochs 1 --quiet
says '^protocol: augmented'

expect 0 "" knn "$run" --data "$data" --k 3,5 --quiet
says '^4 +head +5 +[0-9]+\.[0-9]{2}'
expect 0 "" knn --raw --data "$data" --k 3 --quiet
says '^raw +pixels +3 +[0-9]+\.[0-9]{2}'

expect 0 "" embed "$run" --data "$data" --out "$work/f.npy" --labels "$work/l.npy" --block 1 --feature trunk --quiet
says 'f.npy: 24 x 8, block 1, trunk'
grep -aq "'shape': (24, 8)" "$work/f.npy" || fail "the array is not (24, 8)"
grep -aq "'shape': (24,)" "$work/l.npy" || fail "the labels are not (24,)"
expect 0 "" embed "$run" --data "$data" --out "$work/f.npy" --split train --quiet
says 'f.npy: 48 x 64, block 4, head'

# Outputs that are one file, an input, or cannot be written are found before the images are looked at.
before_work() {
  expect "$@"
  printf '%s\n' "$stderr" | grep -q 'features' && fail "${*:3}: found out after the work: $stderr"
}
embed=(embed "$run" --data "$data")
cd "$work" || exit 1
before_work 2 "--labels same.npy: the same file as --out" "${embed[@]}" --out same.npy --labels same.npy
before_work 2 "--names ./same.npy: the same file as --out" "${embed[@]}" --out same.npy --names ./same.npy
before_work 2 "--names $work/l.npy: the same file as --labels" "${embed[@]}" --out same.npy --labels l.npy --names "$work/l.npy"
cp "$run/model.safetensors" mine.safetensors
before_work 2 "--out ./mine.safetensors: the same file as MODEL" embed mine.safetensors --data "$data" --out ./mine.safetensors
cmp mine.safetensors "$run/model.safetensors" || fail "the model was overwritten"
before_work 1 "no/f.npy: cannot write" "${embed[@]}" --out no/f.npy
before_work 1 "no/l.npy: cannot write" "${embed[@]}" --out same.npy --labels no/l.npy
before_work 1 "no/n.npy: cannot write" "${embed[@]}" --out same.npy --names no/n.npy
mkdir "$work/feed"
printf 'P' >"$work/feed/"$'a\nb.png'
before_work 3 "the name of image 1 has a line feed in it" embed "$run" --data "$work/feed" --out same.npy --names n.txt
compgen -G 'same.npy*' >/dev/null && fail "an embed that failed left $(echo same.npy*)"
# The record of a probe in a folder that takes none.
cp -r "$run" kept
rm -f kept/probe.json && mkdir kept/probe.json
before_work 1 "kept/probe.json: cannot write" probe kept --data "$data" --epochs 1

# Without heads.safetensors beside it a trunk is looked at by its own features.
expect 0 "" export "$run" --format safetensors --out "$work/trunk.safetensors"
cmp "$work/trunk.safetensors" "$run/model.safetensors" || fail "the exported trunk is another"
expect 0 "" knn "$work/trunk.safetensors" --data "$data" --k 3 --quiet
says '^4 +trunk +3 '

expect 0 "" inspect "$run"
says "^run: $run, finished after 3 steps"
says 'step-00000003.safetensors'
says '^last metrics: \{"step":3,'
says '^network: resnet18, width 8, stem cifar, 16 px, with heads'
expect 0 "" inspect "$run/heads.safetensors"
says 'blocks.1.head.conv.weight +F32 +\[64, 8, 1, 1\]'
expect 0 "" inspect "$work/trunk.safetensors"
says '^network: resnet18, width 8, stem cifar, 16 px, without heads'
says '^arch: resnet18'
says 'layer4.1.bn2.num_batches_tracked +I64 +\[\]'

expect 0 "" bench step "${tiny[@]}" --steps 2 --warmup 1 --quiet
says '^simultaneous resnet18, 16 px, batch 16, f32, 1 threads'
expect 0 "" bench step "${tiny[@]}" --steps 2 --warmup 1 --quiet --profile
says '^convolution 3x3 +backward weights +[0-9.]+ +[0-9.]+% +[0-9.]+ +17$'
says '^everything else +[0-9.]+ +[0-9.]+% +- +0$'
expect 0 "" bench step "${tiny[@]}" --steps 2 --warmup 1 --quiet --data "$data"
says '^with the loader on: step [0-9.]+ s .median., [0-9.]+ samples/s, [0-9.]+ % of that speed$'
expect 2 'cannot be given together' bench step "${tiny[@]}" --data "$data" --profile
expect 0 "" bench loader "${tiny[@]}" --steps 2 --quiet
says 'idx, 32 images, 16 px, batch 16'
expect 0 "" bench matmul --steps 1 --set threads=2 --quiet
says '^ +512 +512 +512 +[0-9.]+$'
for what in recipes:cifar10 losses:barlow-twins archs:resnet101 formats:class-folders config:train.batch:; do
  expect 0 "" list ${what%%:*}
  says "^${what#*:}"
done
finish
