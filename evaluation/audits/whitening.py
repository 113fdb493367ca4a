"""Were float images whitened? Trajectory-matching code trains on and saves ZCA-whitened images.

Whitening takes away what neighbouring pixels have in common, and most of all between pixels two apart. Noise does not:
it lowers both correlations by the same factor. Of images of the real sets, the second is 0.84 to 0.90 of the first,
with or without noise; ZCA-whitened with eps 0.1 it is 0.15 (CIFAR-100) and 0.57 (digits), with eps 0.01 0.29 (digits).
"""

from typing import NamedTuple

import numpy as np

from evaluation.base.images import ImageSet, NormalisedSet

WHITENED = "ZCA whitening"
_SAMPLE = 1000  # images that are looked at
_LEAST_NEAR = 0.1  # below, there is nothing but noise to tell from
_FAR_TO_NEAR = 0.65


class Correlation(NamedTuple):
    """Of the values of pixels beside each other and two apart, in both directions, around the mean of their channel."""

    near: float
    far: float

    @property
    def whitened(self) -> bool:
        return self.near > _LEAST_NEAR and self.far < _FAR_TO_NEAR * self.near


def correlation(images: ImageSet | NormalisedSet) -> Correlation:
    """Over a sample of the images, all values of which are finite; 0 for images of one colour."""
    sample = images.images[:: max(1, len(images) // _SAMPLE)].astype(np.float64)
    sample -= sample.mean((2, 3), keepdims=True)
    variance = float((sample**2).mean())
    if variance == 0:
        return Correlation(0.0, 0.0)

    def apart(by: int) -> float:
        down = (sample[:, :, by:] * sample[:, :, :-by]).mean()
        across = (sample[..., by:] * sample[..., :-by]).mean()
        return float(down + across) / 2 / variance

    return Correlation(apart(1), apart(2))


def are_whitened(images: ImageSet | NormalisedSet) -> bool:
    """Whether float images look ZCA-whitened; False for 8-bit images and where a value is not finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        return isinstance(images, NormalisedSet) and correlation(images).whitened
