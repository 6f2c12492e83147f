#!/usr/bin/env bash
# Files for elsewhere: what `export` and `probe --save` write and refuse. docs/exchange.md is run by
# tests/python/exchange_page.sh.
set -u
source "$(dirname "$0")/lib/expect.sh"
cd "$work" || exit 1
make_data d 3
expect 0 '' pretrain --data d --out run "${tiny[@]}" --set train.steps=0 --quiet
expect 0 '' pretrain --data d --out other "${tiny[@]}" --set train.steps=0 --set seed=1 --quiet

# config.json: in a run, the same beside an export, renewed for the same file, and never in place of another's.
same() {
  checks=$((checks + 1))
  cmp "$1" "$2" || fail "$1 and $2 differ"
}
mkdir a
expect 0 '^$' export run --out a/model.safetensors
same a/config.json run/config.json
for line in '"architecture": "resnet18"' '"num_features": 64' '"num_classes": 0' '"crop_pct": 1' '"first_conv": "conv1"' \
  '"interpolation": "bilinear"' '"stem": "cifar"' '"width": 8'; do
  grep -qF "$line" a/config.json || fail "$line is not in: $(cat a/config.json)"
done
sed -i 's/resnet18/resnet0/' a/config.json
expect 0 '^$' export run --out a/model.safetensors
same a/config.json run/config.json
expect 0 'a/config.json: is there, was not written for second.safetensors' export other --out a/second.safetensors
same a/config.json run/config.json
[ -s a/second.safetensors ] || fail "the weights were not written"
mkdir b && echo '{"mine": 1}' >b/config.json
expect 0 'stays as it is' export run --out b/model.safetensors
[ "$(cat b/config.json)" = '{"mine": 1}' ] || fail "another's config.json was changed"

# The ending of the name says the format too, and nothing is written under a name of the other.
mkdir e
expect 0 '' export run --out e/model.onnx
head -c 200 e/model.onnx | grep -aq blockwise || fail "--out e/model.onnx wrote no ONNX model"
expect 2 'format safetensors: --out e/x.onnx is a name of onnx files' export run --format safetensors --out e/x.onnx
expect 2 'format onnx: --out e/x.safetensors is a name of safetensors files' export run --format onnx --out e/x.safetensors
expect 2 'e/x.pth: ends neither in .safetensors nor in .onnx; give --format' export run --out e/x.pth
expect 2 'belong to --format onnx' export run --block 2 --out e/x.safetensors
expect 1 'no/x.onnx: cannot write' export run --out no/x.onnx
[ "$(ls e)" = model.onnx ] || fail "export left $(ls e)"
expect 0 '' export run --format safetensors --out e/weights

# The classifier of a probe.
expect 1 'no/probe.safetensors' probe run --data d --save no/probe.safetensors --epochs 2 --quiet
expect 0 '' probe run --data d --block 2 --feature both --concat --epochs 2 --quiet --save p.safetensors
expect 0 '' inspect p.safetensors
says 'blocks.2.head.classifier.weight +F32 +\[3, 64\]'
says '^classes: \["0","1","2"\]'
says '^4 tensors'
expect 0 '' probe run --data d --block 2 --epochs 1 --protocol augmented --quiet --save q.safetensors
expect 0 '' export run --format onnx --block 2 --probe p.safetensors --out m.onnx
for name in logits classifier.bias '["0","1","2"]'; do
  grep -aqF "$name" m.onnx || fail "$name is not in the model"
done
expect 0 '' export run --format onnx --block 2 --feature trunk --probe p.safetensors --out m.onnx
expect 0 '' export run --format onnx --block 2 --probe q.safetensors --out m.onnx
cp m.onnx before
expect 3 'no classifier of the head of block 4' export run --format onnx --probe p.safetensors --out m.onnx
expect 3 'no classifier of the trunk of block 2' export run --format onnx --block 2 --feature trunk --probe q.safetensors --out m.onnx
expect 3 'fitted on another network' export other --format onnx --block 2 --probe p.safetensors --out m.onnx
expect 3 'probe --save' export run --format onnx --probe run/model.safetensors --out m.onnx
same m.onnx before
expect 2 'belong to --format onnx' export run --probe p.safetensors --out c/model.safetensors
# Without its heads the network has trunk features, and those the same classifier.
expect 0 '' export a/model.safetensors --format onnx --block 2 --probe p.safetensors --out n.onnx
# One file cannot be two.
cp a/model.safetensors mine.safetensors
expect 2 '--save ./mine.safetensors: the same file as MODEL' \
  probe mine.safetensors --data d --epochs 1 --save ./mine.safetensors
same mine.safetensors a/model.safetensors
finish
