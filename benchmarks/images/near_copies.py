"""Distances from generated images to the training images, next to those of real images of the same classes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from evaluation.base.images import ImageSet

REAL_SHARE = 0.01
_IMAGES, _REFERENCES = 1000, 4000  # compared at once, so that memory does not grow with the data


@dataclass(frozen=True)
class Nearness:
    """Distances are to the nearest training image, root mean square over pixels, in levels of 255.

    Attributes:
        near_copies: fraction of the generated images that are nearer than all but 1% of the real ones are; 0.01 is what
            real images show among themselves.
        nearest, median: of the generated images.
        real_nearest, real_median: of held-out real images, which were not trained on.
    """

    near_copies: float
    nearest: float
    median: float
    real_nearest: float
    real_median: float


def measure_nearness(made: ImageSet, held_out: ImageSet, train: ImageSet) -> Nearness:
    """Compare images made by a generator that has seen `train` with `held_out`, which it has not."""
    return nearness_of(nearest_distances(made, train), nearest_distances(held_out, train))


def nearness_of(made_N: Tensor, real_N: Tensor) -> Nearness:
    """The same from the distances to the nearest training image: of generated and of held-out real images."""
    return Nearness(
        near_copies=float((made_N < real_N.quantile(REAL_SHARE)).float().mean()),
        nearest=float(made_N.min()),
        median=float(made_N.median()),
        real_nearest=float(real_N.min()),
        real_median=float(real_N.median()),
    )


def nearest_distances(images: ImageSet, references: ImageSet) -> Tensor:
    """Distance of each image to the nearest reference, root mean square over pixels in levels of 255, (N,)."""
    nearest_N = torch.full((len(images),), torch.inf)
    for reference_MD in _flat(references).split(_REFERENCES):
        reference_MD = reference_MD.float()
        for x_ND, nearest_n in zip(_flat(images).split(_IMAGES), nearest_N.split(_IMAGES), strict=True):
            torch.minimum(nearest_n, torch.cdist(x_ND.float(), reference_MD).amin(1), out=nearest_n)
    return nearest_N / _flat(images).shape[1] ** 0.5


def _flat(images: ImageSet) -> Tensor:
    return torch.from_numpy(images.images).flatten(1)
