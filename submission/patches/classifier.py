"""A small classifier of real images, trained in the run that uses it, for choices by a classifier's confidence.

It has nothing to do with the audits' probe, which no generator may ask.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet
from submission.contract.progress_lines import ProgressLines

WIDTHS = (32, 48, 96, 192)
BATCH = 128
PEAK_RATE = 0.1
WEIGHT_DECAY = 5e-4
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


def train_classifier(images: ImageSet, challenge: Challenge, device: str, epochs: int, seed: int) -> Classifier:
    """A classifier of `images`: SGD with one cycle of the rate, shifted and (but for digits) mirrored images."""
    torch.manual_seed(seed)
    network = Classifier(challenge).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    images_NCHW, labels_N = (torch.from_numpy(of).to(device) for of in (images.images, images.labels))
    batch = min(BATCH, len(images))
    passes = len(images) // batch
    optimiser = torch.optim.SGD(network.parameters(), PEAK_RATE, momentum=0.9, nesterov=True, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, total_steps=epochs * passes + 1)
    rng = np.random.default_rng(seed)
    progress = ProgressLines("Classifier, training steps", epochs * passes)
    for step in range(epochs * passes):
        if step % passes == 0:
            shuffled_N = torch.from_numpy(rng.permutation(len(images))).to(device)
        index_B = shuffled_N[step % passes * batch :][:batch]
        x_BCHW = _shifted(images_NCHW[index_B], challenge.size // SHIFT, rng)
        if challenge.name != "digits":  # a mirrored digit is none
            mirrored_B = torch.from_numpy(rng.random(batch) < 0.5).to(device)
            x_BCHW = torch.where(mirrored_B[:, None, None, None], x_BCHW.flip(3), x_BCHW)
        loss = F.cross_entropy(network(x_BCHW), labels_N[index_B])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        progress.show(step + 1)
    return network.eval().requires_grad_(False)


def _block(inputs: int, outputs: int, stride: int = 1) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(outputs), nn.ReLU()


def _shifted(images_BCHW: Tensor, most: int, rng: np.random.Generator) -> Tensor:
    """The batch moved by the same random whole pixels, up to `most` each way, black where nothing moves in."""
    size = images_BCHW.shape[-1]
    down, right = rng.integers(0, 2 * most + 1, 2)
    return F.pad(images_BCHW, (most,) * 4)[..., down : down + size, right : right + size]
