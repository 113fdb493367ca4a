"""The scorer: a small classifier of the challenge's images, that `--keep` asks how likely an image's class is.

It is trained by `python -m submission.training scorer` on training images alone, for this and nothing else. The audits'
probe is another network: what is filtered by one is never looked at by the same one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaluation.base.challenge import Challenge
from submission.contract.weights import SHIPPED, load_weights

_INPUT_SIZE = 32  # larger images are averaged down to it


class ScorerNetwork(nn.Module):
    """3x3 convolutions with ReLU, the map halved after each but the first; their mean goes into one linear layer."""

    def __init__(self, classes: int, widths: Sequence[int], norm: bool = False) -> None:
        """`norm` puts batch norm behind each convolution, for training; `fold_norms` takes it out again."""
        super().__init__()
        channels = (3, *widths)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(channels[i], width, 3, stride=1 if i else 2, padding=1) for i, width in enumerate(widths)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) if norm else nn.Identity() for width in widths)
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, x_B3HW: Tensor) -> Tensor:
        """What `scorer_input` makes of images, (B, 3, 32, 32), to logits (B, classes)."""
        x = x_B3HW
        for i, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            x = F.relu(norm(convolution(x)))
            if i:
                x = F.max_pool2d(x, 2)
        return self.head(x.mean((2, 3)))


def scorer_input(images_B3HW: Tensor) -> Tensor:
    """uint8 (B, 3, H, W), H and W multiples of 32, to float32 (B, 3, 32, 32) in [-1, 1], averaged down."""
    x_B3HW = images_B3HW.float() / 127.5 - 1
    x_B3HW = F.avg_pool2d(x_B3HW, x_B3HW.shape[-1] // _INPUT_SIZE)
    return x_B3HW.contiguous(memory_format=torch.channels_last)


class Scorer:
    """A trained network in evaluation mode."""

    def __init__(self, network: ScorerNetwork) -> None:
        self.network = network.eval()

    @torch.inference_mode()
    def score(self, images_B3HW: Tensor, labels_B: Tensor) -> Tensor:
        """The logarithm of the probability that each image is of its class, float32 (B,) on the images' device.

        Args:
            images_B3HW: uint8 at the challenge's size.
            labels_B: int64 (B,), on the images' device.
        """
        logits_BC = self.network(scorer_input(images_B3HW))
        return logits_BC.log_softmax(1).gather(1, labels_B[:, None])[:, 0]


def scorer_path(challenge: Challenge) -> Path:
    """Where the scorer of a challenge is shipped."""
    return SHIPPED / f"scorer-{challenge.name}.safetensors"


def check_scorer(challenge: Challenge) -> None:
    """Raises ValueError where there is no scorer of `challenge`; the sentence has the command that trains it."""
    if not scorer_path(challenge).is_file():
        raise ValueError(
            f"--keep needs a scorer, and none is shipped for {challenge.name!r}: leave out --keep, or train one with"
            f" `python -m submission.training scorer --dataset {challenge.name}`"
        )


def load_scorer(challenge: Challenge, device: str) -> Scorer:
    """The shipped scorer of `challenge` on `device`. Raises ValueError for a file that does not fit."""
    tensors, header = load_weights(scorer_path(challenge), "scorer", challenge)
    network = ScorerNetwork(challenge.classes, header.model["widths"])
    network.load_state_dict(tensors)
    return Scorer(network.to(device).to(memory_format=torch.channels_last))  # type: ignore[call-overload]
