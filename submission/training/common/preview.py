"""A look at a training on the way: a grid of samples, and what the judge's network would learn from them."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from evaluation.base.challenge import Challenge
from evaluation.base.files import written_whole
from evaluation.base.images import ImageSet
from evaluation.judge.score import judge

Generate = Callable[[Tensor, Tensor], Tensor]  # (labels, seeds) -> uint8 (B, 3, H, W)

COLUMNS = 10  # of a grid of samples
QUICK_IPC, QUICK_EPOCHS = 10, 20  # of the quick judge
_BATCH = 250


def make_images(generate: Generate, classes: int, per_class: int) -> ImageSet:
    """`per_class` images of each class, always from the same seeds."""
    labels = torch.arange(classes).repeat(per_class)
    batches = zip(labels.split(_BATCH), torch.arange(len(labels)).split(_BATCH), strict=True)
    images = torch.cat([generate(label_B, seed_B).cpu() for label_B, seed_B in batches])
    return ImageSet(images.numpy(), labels.numpy())


def save_preview(path: Path, generate: Generate, classes: int, count: int) -> None:
    """Write a PNG of `count` images, COLUMNS in a row, of classes evenly apart in label order."""
    from PIL import Image

    seeds = torch.arange(count)
    images_B3HW = generate(seeds * classes // count, seeds).cpu()
    _, _, H, W = images_B3HW.shape
    rows = images_B3HW.view(-1, COLUMNS, 3, H, W).permute(0, 3, 1, 4, 2)
    with written_whole(path) as part:
        Image.fromarray(rows.reshape(-1, COLUMNS * W, 3).numpy()).save(part, format="PNG")


def quick_accuracy(generate: Generate, held_out: ImageSet, challenge: Challenge, device: str) -> float:
    """Accuracy in [0, 1] on held-out training images after a short training on QUICK_IPC per class; never to report."""
    made = make_images(generate, challenge.classes, QUICK_IPC)
    return judge(made, held_out, challenge, rounds=1, epochs=QUICK_EPOCHS, device=device).mean
