#!/usr/bin/env python3
"""Loads a trunk into timm's ResNet: the three lines, and what they gave.

    load_in_timm.py FOLDER      with model.safetensors and config.json, as `blockwise export` writes them

Needs torch, timm and numpy. With the package `safetensors` one line does all of it, mean, std and size
included: timm.create_model("local-dir:FOLDER", pretrained=True).
"""
import json
import sys

import timm

try:
    from safetensors.torch import load_file
except ImportError:
    from safetensors_file import load_file


def load(folder):
    config = json.load(open(folder + "/config.json"))
    net = timm.create_model(config["architecture"], num_classes=0)
    net.load_state_dict(load_file(folder + "/model.safetensors"))
    return net.eval()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    net = load(sys.argv[1])
    print(f"{type(net).__name__} of timm {timm.__version__}: {len(net.state_dict())} tensors, "
          f"{net.num_features} features")
