#!/usr/bin/env python3
"""Loads weights written by blockwise into torchvision's own ResNet.

    load_in_torchvision.py MODEL.safetensors [IMAGES.npy FEATURES.npy]

Prints what was loaded. With two more files, runs the network on the images [n, S, S, 3] (normalised, as
blockwise sees them) and compares with the features [n, D] that blockwise computed: exit status 1 if they
differ by more than 1e-4 of their norm. Needs torch, torchvision and numpy. The three lines, for a network of
width 64 with the ImageNet stem:

    net = torchvision.models.resnet50()
    net.fc = torch.nn.Identity()
    net.load_state_dict(safetensors.torch.load_file("model.safetensors"))
"""
import sys

import numpy as np
import torch
import torchvision

import safetensors_file  # beside this file


def network(tensors, metadata):
    if metadata["width"] != "64":
        sys.exit(f"width {metadata['width']}: torchvision's class has width 64 only")
    net = getattr(torchvision.models, metadata["arch"])(weights=None)
    if metadata["stem"] == "cifar":  # 3x3, stride 1, padding 1, and no max pool
        net.conv1 = torch.nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        net.maxpool = torch.nn.Identity()
    net.fc = torch.nn.Identity()
    net.load_state_dict(tensors, strict=True)
    return net.eval()


def main():
    if len(sys.argv) not in (2, 4):
        sys.exit(__doc__)
    tensors, metadata = safetensors_file.read(sys.argv[1])
    net = network(tensors, metadata)
    print(f"{metadata['arch']}, stem {metadata['stem']}: {len(tensors)} tensors loaded with strict=True")
    if len(sys.argv) == 2:
        return
    images, want = (torch.from_numpy(np.load(path)) for path in sys.argv[2:])
    with torch.no_grad():
        got = net(images.permute(0, 3, 1, 2))
    error = ((got - want).norm() / got.norm()).item()
    print(f"features of {len(images)} images differ by {error:.1e} of their norm")
    if not error <= 1e-4:
        sys.exit(1)


if __name__ == "__main__":
    main()
