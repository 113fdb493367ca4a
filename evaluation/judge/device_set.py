"""DeviceSet: a labelled set held on the training device, normalised batch by batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet, NormalisedSet


@dataclass(frozen=True)
class DeviceSet:
    """A labelled set on one device. 8-bit images stay 8-bit there, a quarter of the memory.

    Attributes:
        images: uint8 (N, 3, H, W), or float32 and normalised.
        labels: int64 (N,).
        mean, std: float32 (3, 1, 1), of pixel values scaled to [0, 1].
    """

    images: Tensor
    labels: Tensor
    mean: Tensor
    std: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def device(self) -> torch.device:
        return self.labels.device

    @property
    def size(self) -> int:
        return self.images.shape[-1]

    def normalised(self, part: Tensor | slice) -> Tensor:
        """The images at these positions, float32 (B, 3, H, W), normalised."""
        x_BCHW = self.images[part]
        if x_BCHW.dtype == torch.uint8:
            x_BCHW = (x_BCHW.float() / 255 - self.mean) / self.std
        return x_BCHW


def put_on_device(labelled: ImageSet | NormalisedSet, challenge: Challenge, device: torch.device) -> DeviceSet:
    """Put a labelled set on `device`; on the CPU it shares the memory of `labelled`.

    Raises:
        ValueError: the set is empty, of another size than the challenge's, or has labels outside [0, classes).
    """
    images, labels = labelled.images, labelled.labels
    if len(labels) == 0:
        raise ValueError("there is no image to judge: the set is empty")
    height, width = images.shape[-2:]
    if (height, width) != (challenge.size, challenge.size):
        raise ValueError(
            f"images are {width}x{height}, but {challenge.title} is judged at {challenge.size}x{challenge.size}: "
            f"resize them first"
        )
    if labels.min() < 0 or labels.max() >= challenge.classes:
        raise ValueError(
            f"labels go from {labels.min()} to {labels.max()}, but {challenge.title} has classes 0 to "
            f"{challenge.classes - 1}"
        )
    return DeviceSet(
        images=_tensor(images).to(device),
        labels=_tensor(labels).to(device),
        mean=torch.tensor(challenge.mean, device=device).view(3, 1, 1),
        std=torch.tensor(challenge.std, device=device).view(3, 1, 1),
    )


def _tensor(array: NDArray[Any]) -> Tensor:
    """The array as a tensor, without a copy where torch can share its memory."""
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))
