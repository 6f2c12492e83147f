#!/usr/bin/env bash
# torch_model.sh FILE.pth: what takes a MODEL takes FILE, a ResNet-18 of the paper's authors' kind with heads and
# without projectors, width 8, for images of 16 pixels. test_torch_weights.c makes the file.
set -u
. "$(dirname "$0")/expect.sh"
model=$1
make_data "$work/data" 3

expect 0 '' inspect "$model"
says '^network: resnet18, width 8, stem cifar, 32 px, with heads$'
says '^block   trunk parameters +with head   trunk'
expect 0 '' inspect "$model" --json
says '"projectors": *false'
expect 0 '' probe "$model" --data "$work/data" --threads 1 --epochs 1 --quiet --json
says '"feature": *"head"'
expect 0 '' knn "$model" --data "$work/data" --threads 1 --k 5 --block 4 --quiet --json
says '"feature": *"head"'
expect 0 '' embed "$model" --data "$work/data" --threads 1 --out "$work/f.npy" --quiet
says ': 24 x 64, block 4, head$'
expect 0 '' export "$model" --format onnx --feature head --block 2 --out "$work/m.onnx"
expect 0 '' export "$model" --out "$work/m.safetensors"
expect 0 '' inspect "$work/m.safetensors"
says '^network: resnet18, width 8, stem cifar, 32 px, without heads$'
expect 0 'trunk and 4 of 8 heads' pretrain --data "$work/data" --out "$work/run" "${tiny[@]}" --set train.steps=1 \
  --init "$model"
finish
