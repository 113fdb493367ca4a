"""Resident: a labelled set held on the training device, normalised batch by batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluation.base.challenge import Challenge


class Labelled(Protocol):
    """What the judge takes: an ImageSet, or float32 images that are normalised already.

    Attributes:
        images: (N, 3, H, W), uint8 in [0, 255], or float32 with the challenge's mean and std taken off.
        labels: int64 (N,).
    """

    @property
    def images(self) -> NDArray[Any]: ...

    @property
    def labels(self) -> NDArray[np.int64]: ...


@dataclass(frozen=True)
class Resident:
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
        """The images at these places, float32 (B, 3, H, W), normalised."""
        x_BCHW = self.images[part]
        if x_BCHW.dtype == torch.uint8:
            x_BCHW = (x_BCHW.float() / 255 - self.mean) / self.std
        return x_BCHW


def resident(labelled: Labelled, challenge: Challenge, device: torch.device) -> Resident:
    """Put a labelled set on `device`.

    Raises:
        ValueError: the set is empty, of another size than the challenge's, of a type that is neither uint8 nor
            float32, or has labels outside [0, classes).
    """
    images, labels = labelled.images, labelled.labels
    if len(labels) == 0:
        raise ValueError("there is no image to judge: the set is empty")
    if images.shape[1:] != (3, challenge.size, challenge.size):
        height, width = images.shape[-2:]
        raise ValueError(
            f"images are {width}x{height}, but {challenge.title} is judged at {challenge.size}x{challenge.size}: "
            f"resize them first"
        )
    if images.dtype not in (np.uint8, np.float32):
        raise ValueError(f"images must be uint8 (0 to 255) or float32 (normalised), not {images.dtype}")
    if labels.min() < 0 or labels.max() >= challenge.classes:
        raise ValueError(
            f"labels go from {labels.min()} to {labels.max()}, but {challenge.title} has classes 0 to "
            f"{challenge.classes - 1}"
        )
    return Resident(
        images=_tensor(images).to(device),
        labels=_tensor(labels).to(device),
        mean=torch.tensor(challenge.mean, device=device).view(3, 1, 1),
        std=torch.tensor(challenge.std, device=device).view(3, 1, 1),
    )


def _tensor(array: NDArray[Any]) -> Tensor:
    """The array as a tensor, without a copy where torch can share its memory."""
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))
