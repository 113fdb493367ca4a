"""A small classifier of real images, trained in the run that uses it, for choices by a classifier's confidence.

It has nothing to do with the audits' probe, which no generator may ask.
"""

import numpy as np
import torch
from torch import Tensor, nn

from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet
from evaluation.base.progress_bar import progress_bar
from evaluation.base.train_classifier import shift_and_mirror, train_classifier

WIDTHS = (32, 48, 96, 192)
BATCH = 128
PEAK_LR = 0.1
SHIFT = 8  # images are shifted by up to their size over this


class Classifier(nn.Module):
    """Four convolutions with batch norm, then the mean over positions; 26 million multiply-adds for 32x32 pixels."""

    mean: Tensor
    std: Tensor

    def __init__(self, challenge: Challenge) -> None:
        super().__init__()
        for name, values in (("mean", challenge.mean), ("std", challenge.std)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1))
        first, second, third, last = WIDTHS
        self.layers = nn.Sequential(
            *_block(3, first, stride=max(1, challenge.size // 32)),
            *_block(first, second, stride=2),
            *_block(second, third),
            nn.MaxPool2d(2),
            *_block(third, last),
        )
        self.head = nn.Linear(last, challenge.classes)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """uint8 (B, 3, size, size) -> logits (B, classes)."""
        x_BCHW = (images_BCHW.float() / 255 - self.mean) / self.std
        return self.head(self.layers(x_BCHW.contiguous(memory_format=torch.channels_last)).mean((2, 3)))


def train_on(images: ImageSet, challenge: Challenge, device: str, epochs: int, seed: int) -> Classifier:
    """A classifier of `images`, at least one, trained on shifted and (but for digits) mirrored images."""
    torch.manual_seed(seed)
    network = Classifier(challenge).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    images_NCHW, labels_N = (torch.from_numpy(of).to(device) for of in (images.images, images.labels))
    batch_size, rng = min(BATCH, len(images)), np.random.default_rng(seed)
    steps = epochs * (len(images) // batch_size)

    def batch_of(index_B: Tensor) -> tuple[Tensor, Tensor]:
        index_B = index_B.to(device)
        mirror = challenge.name != "digits"  # a mirrored digit is not a digit
        x_BCHW = shift_and_mirror(images_NCHW[index_B], challenge.size // SHIFT, mirror, rng)
        return x_BCHW, labels_N[index_B]

    with progress_bar("Classifier") as update:
        train_classifier(
            network,
            len(images),
            batch_of,
            rng,
            epochs=epochs,
            batch_size=batch_size,
            peak_lr=PEAK_LR,
            on_step=lambda done, _: update(done / steps, f"{done:,} of {steps:,} steps"),
        )
    return network.requires_grad_(False)


def _block(inputs: int, outputs: int, stride: int = 1) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(outputs), nn.ReLU()
