#!/usr/bin/env python3
"""Times the two augmented views of the method with torchvision and Pillow on one core.

Needs python3-torch and python3-torchvision. One sample: read a JPEG, decode it once, two views of it: random
resized crop (bicubic), flip, colour jitter, grey, Gaussian blur, solarise, normalise. Prints one JSON object.
With --make it writes images instead: smooth random colours with grain, as large as a usual photograph of
ImageNet.

    python3 bench/pytorch/augment.py --make 64 /tmp/images
    python3 bench/pytorch/augment.py --samples 200 /tmp/images
"""
import argparse
import json
import pathlib
import random
import time

import torch
from PIL import Image, ImageFilter
from torchvision import transforms
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import to_pil_image


class Blur:
    def __init__(self, prob):
        self.prob = prob

    def __call__(self, image):
        if random.random() >= self.prob:
            return image
        return image.filter(ImageFilter.GaussianBlur(radius=random.uniform(0.1, 2.0)))


def view(size, blur, solarise):
    jitter = transforms.ColorJitter(0.4, 0.4, 0.2, 0.1)
    return transforms.Compose(
        [
            transforms.RandomResizedCrop(size, scale=(0.08, 1.0), interpolation=InterpolationMode.BICUBIC),
            transforms.RandomHorizontalFlip(),
            transforms.RandomApply([jitter], p=0.8),
            transforms.RandomGrayscale(p=0.2),
            Blur(blur),
            transforms.RandomSolarize(128, p=solarise),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )


def make(folder, count):
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        pixels = torch.zeros(1, 3, 375, 500)
        for cells, strength in (3, 0.5), (12, 0.3), (48, 0.15):
            noise = torch.rand(1, 3, cells, cells * 4 // 3) * strength
            pixels += torch.nn.functional.interpolate(noise, (375, 500), mode="bicubic", align_corners=False)
        pixels += 0.03 * torch.randn(1, 1, 375, 500)
        to_pil_image(pixels[0].clamp(0, 1)).save(folder / f"{i:05d}.jpg", quality=90)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=pathlib.Path)
    p.add_argument("--make", type=int, metavar="N", help="write N images and stop")
    p.add_argument("--image-size", type=int, default=224)
    p.add_argument("--samples", type=int, default=200)
    o = p.parse_args()
    if o.make:
        make(o.folder, o.make)
        return
    torch.set_num_threads(1)
    random.seed(0)
    torch.manual_seed(0)
    files = sorted(f for f in o.folder.rglob("*") if f.suffix.lower() in (".jpg", ".jpeg"))
    views = view(o.image_size, 1.0, 0.0), view(o.image_size, 0.1, 0.2)

    def sample(i):
        with Image.open(files[i % len(files)]) as image:
            image = image.convert("RGB")
        return [v(image) for v in views]

    for i in range(min(o.samples, 20)):
        sample(i)
    start = time.perf_counter()
    for i in range(o.samples):
        sample(i)
    seconds = time.perf_counter() - start
    print(
        json.dumps(
            {
                "images": len(files),
                "image_size": o.image_size,
                "samples": o.samples,
                "threads": 1,
                "samples_per_s": round(o.samples / seconds, 2),
            }
        )
    )


if __name__ == "__main__":
    main()
