#!/usr/bin/env python3
"""Times one training step of the method in PyTorch, for comparison with `blockwise bench step`.

Needs python3-torch and python3-torchvision. One step: two views, each through the network by itself; per
block a head (1x1 convolution to D, batch norm, ReLU, global average pool), a projector and the Barlow Twins
loss; backward; SGD with momentum. End to end: the plain network, one projector, one loss. Synthetic input
that stays in memory, so no loader is timed. Prints one JSON object.

    python3 bench/pytorch/step.py --arch resnet50 --image-size 224 --batch 8 --order simultaneous
"""
import argparse
import contextlib
import json
import resource
import statistics
import time

import torch
import torch.utils.checkpoint
import torchvision
from torch import nn


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--arch", choices=["resnet18", "resnet34", "resnet50", "resnet101"], default="resnet50")
    p.add_argument("--stem", choices=["imagenet", "cifar"], help="default: cifar up to 64 px")
    p.add_argument("--image-size", type=int, default=224)
    p.add_argument("--batch", type=int, default=8)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--channels-last", action="store_true")
    p.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    p.add_argument("--order", choices=["simultaneous", "end-to-end"], default="simultaneous")
    p.add_argument("--projector", type=int, nargs="+", default=[2048, 2048, 2048])
    p.add_argument(
        "--forwards-first",
        action="store_true",
        help="as the paper's code: every block's forward before any backward (more memory)",
    )
    p.add_argument(
        "--checkpoint",
        action="store_true",
        help="gradient checkpointing: keep only the input of every residual unit and compute it again",
    )
    p.add_argument("--steps", type=int, default=5)
    p.add_argument("--warmup", type=int, default=2)
    return p.parse_args()


def projector(wide, widths):
    layers = []
    for i, width in enumerate(widths):
        layers.append(nn.Linear(wide, width, bias=False))
        if i + 1 < len(widths):
            layers += [nn.BatchNorm1d(width), nn.ReLU(inplace=True)]
        wide = width
    return nn.Sequential(*layers)


class Checkpointed(nn.Module):
    def __init__(self, unit):
        super().__init__()
        self.unit = unit

    def forward(self, x):
        if not x.requires_grad:  # an input of the block: the recomputation must still be recorded
            x = x.detach().requires_grad_()
        return torch.utils.checkpoint.checkpoint(self.unit, x)


class Block(nn.Module):
    def __init__(self, trunk, channels, dim, widths):
        super().__init__()
        self.trunk = trunk
        self.head = nn.Identity()
        if dim:
            self.head = nn.Sequential(
                nn.Conv2d(channels, dim, 1, bias=False), nn.BatchNorm2d(dim), nn.ReLU(inplace=True)
            )
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.projector = projector(dim or channels, widths)

    def forward(self, x):
        x = self.trunk(x)
        return x, self.projector(self.pool(self.head(x)))


def build(o):
    net = getattr(torchvision.models, o.arch)(weights=None)
    if o.stem == "cifar":
        net.conv1, net.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
    if o.checkpoint:
        for stage in net.layer1, net.layer2, net.layer3, net.layer4:
            for i, unit in enumerate(stage):
                stage[i] = Checkpointed(unit)
    parts = [nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool, net.layer1)]
    parts += [net.layer2, net.layer3, net.layer4]
    last = net.fc.in_features
    if o.order == "end-to-end":
        return [Block(nn.Sequential(*parts), last, 0, o.projector)]
    return [Block(part, last >> (3 - k), last, o.projector) for k, part in enumerate(parts)]


def barlow_twins(z1, z2, weight=0.0051, scale=0.024):
    """The loss in float32, whatever the network computes in."""
    a, b = (nn.functional.batch_norm(z.float(), None, None, training=True) for z in (z1, z2))
    c = a.T @ b / len(a)
    on = (c.diagonal() - 1).square().sum()
    off = c.square().sum() - c.diagonal().square().sum()
    return scale * (on + weight * off)


def main():
    o = options()
    o.stem = o.stem or ("cifar" if o.image_size <= 64 else "imagenet")
    torch.set_num_threads(o.threads)
    torch.manual_seed(0)
    blocks = build(o)
    layout = torch.channels_last if o.channels_last else torch.contiguous_format
    for block in blocks:
        block.to(memory_format=layout).train()
    optimisers = [torch.optim.SGD(b.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-6) for b in blocks]
    views = [torch.randn(o.batch, 3, o.image_size, o.image_size).to(memory_format=layout) for _ in "12"]

    def precision():
        if o.dtype == "bf16":
            return torch.autocast("cpu", dtype=torch.bfloat16)
        return contextlib.nullcontext()

    def finish(block, optimiser, z):
        barlow_twins(*z).backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    def step():
        xs, waiting = views, []
        for block, optimiser in zip(blocks, optimisers):
            with precision():
                xs, z = zip(*[block(x) for x in xs])
            xs = [x.detach() for x in xs]
            if o.forwards_first:
                waiting.append((block, optimiser, z))
            else:
                finish(block, optimiser, z)
                del z
        for each in waiting:
            finish(*each)

    times = []
    for i in range(o.warmup + o.steps):
        start = time.perf_counter()
        step()
        if i >= o.warmup:
            times.append(time.perf_counter() - start)
    median = statistics.median(times)
    print(
        json.dumps(
            {
                "order": o.order,
                "arch": o.arch,
                "image_size": o.image_size,
                "batch": o.batch,
                "dtype": o.dtype,
                "threads": o.threads,
                "channels_last": o.channels_last,
                "forwards_first": o.forwards_first,
                "checkpoint": o.checkpoint,
                "step_s_median": round(median, 6),
                "samples_per_s": round(o.batch / median, 4),
                "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024e-6, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
