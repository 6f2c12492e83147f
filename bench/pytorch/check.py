#!/usr/bin/env python3
"""Is this PyTorch a fair opponent: does it compute right, and with which libraries?

Compares a matrix product and a convolution with its gradients in float32 against float64. Prints one JSON
object; exit status 1 if an error is larger than rounding explains, or if no OpenBLAS with threads is loaded.
"""
import argparse
import json
import platform
import re
import sys

import PIL
import torch
import torchvision

LIMIT = 2e-6  # relative, in the norm; sums of a thousand products in float32 stay well below


def relative(got, want):
    return float((got.double() - want).norm() / want.norm())


def errors():
    torch.manual_seed(0)
    found = {}
    a, b = torch.randn(500, 1000), torch.randn(1000, 300)
    found["matrix product"] = relative(a @ b, a.double() @ b.double())
    src, weight = torch.randn(4, 64, 28, 28), torch.randn(96, 64, 3, 3)
    for layout, name in (torch.contiguous_format, "NCHW"), (torch.channels_last, "channels last"):
        results = []
        for dtype in torch.float32, torch.float64:
            x, w = (t.to(dtype).clone(memory_format=layout).requires_grad_() for t in (src, weight))
            y = torch.nn.functional.conv2d(x, w, stride=2, padding=1)
            y.backward(torch.cos(torch.arange(y.numel(), dtype=dtype)).view_as(y))
            results.append((y.detach(), x.grad, w.grad))
        for what, got, want in zip(("forward", "backward data", "backward weights"), *results):
            found[f"convolution {what}, {name}"] = relative(got, want)
    return found


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--threads", type=int, default=2)
    torch.set_num_threads(p.parse_args().threads)
    found = errors()
    with open("/proc/self/maps", encoding="utf-8") as maps:
        blas = sorted(set(re.findall(r"\S*(?:openblas|mkl_|blis|/blas/)\S*\.so\S*", maps.read())))
    kernels = re.search(r"MKL-DNN (v[0-9.]+)", torch.__config__.show())
    worst = max(found.values())
    print(
        json.dumps(
            {
                "torch": torch.__version__,
                "torchvision": torchvision.__version__,
                "pillow": PIL.__version__,
                "python": platform.python_version(),
                "onednn": kernels.group(1) if kernels else None,
                "blas": blas,
                "threads": torch.get_num_threads(),
                "errors": {name: float(f"{e:.2e}") for name, e in found.items()},
                "limit": LIMIT,
                "right": worst <= LIMIT,
            }
        )
    )
    if worst > LIMIT:
        sys.exit(f"check.py: float32 differs from float64 by {worst:.1e}, more than {LIMIT:.0e}: {found}")
    if not any("openblasp" in name or "openblas-pthread" in name for name in blas):
        sys.exit(f"check.py: PyTorch has {blas or 'no BLAS'}, not OpenBLAS with threads: install libopenblas0-pthread")


if __name__ == "__main__":
    main()
