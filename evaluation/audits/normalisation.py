"""With which mean and std were float images normalised? Told by the grid of 8-bit pixels, or by the extremes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.base.challenge import Challenge, challenges

_Triple = tuple[float, float, float]
_ON_GRID = 0.05  # mean distance to whole levels; 0.25 for continuous values
_SAMPLE = 4096  # images
_OUTSIDE = 0.02  # of the pixel range: further out is not rounding
_FITS = 0.04  # sum of the distances of the extremes from black and white, per channel
_BETTER = 0.03  # by which another normalisation must fit better to be believed
_RIGHT = "the challenge's own"


@dataclass(frozen=True)
class Normalisation:
    """(pixel - mean) / std per channel, for pixels in [0, 1]."""

    name: str
    mean: _Triple
    std: _Triple


def candidates(challenge: Challenge) -> list[Normalisation]:
    """The challenge's own normalisation first, then common mistakes."""
    mean, std = challenge.mean, challenge.std
    twice_mean: _Triple = tuple(m + s * m for m, s in zip(mean, std, strict=True))  # type: ignore[assignment]
    twice_std: _Triple = tuple(s * s for s in std)  # type: ignore[assignment]
    others = [c for c in challenges().values() if c.name != challenge.name]
    return [
        Normalisation(_RIGHT, mean, std),
        Normalisation("none, values in [0, 1]", (0.0,) * 3, (1.0,) * 3),
        Normalisation("none, values in [0, 255]", (0.0,) * 3, (1 / 255,) * 3),
        Normalisation("none, values in [-1, 1]", (0.5,) * 3, (0.5,) * 3),
        Normalisation("the challenge's own, twice", twice_mean, twice_std),
        Normalisation("CIFAR-10's", (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
        Normalisation(
            "CIFAR-10's mean with a widespread wrong std", (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
        ),
        Normalisation("Tiny-ImageNet's own rather than ImageNet's", (0.4802, 0.4481, 0.3975), (0.2770, 0.2691, 0.2821)),
        *(Normalisation(f"that of {c.title}", c.mean, c.std) for c in others),
    ]


@dataclass(frozen=True)
class Reading:
    """How float images seem to have been normalised.

    Attributes:
        name: of the normalisation; None if none fits.
        right: whether it is the challenge's own.
        certain: told by the grid of 8-bit pixels, not by the extremes.
        outside: fraction of values that no 8-bit pixel gives under the challenge's own normalisation.
    """

    name: str | None
    right: bool
    certain: bool
    outside: float


def read_normalisation(images: NDArray[np.float32], challenge: Challenge) -> Reading:
    """Find the normalisation behind float images (N, 3, H, W), N at least 1, all values finite."""
    sample = images[:: max(1, len(images) // _SAMPLE)]
    known = candidates(challenge)
    pixels = [_undo(sample, normalisation) for normalisation in known]
    outside = float(((pixels[0] < -_OUTSIDE) | (pixels[0] > 1 + _OUTSIDE)).mean())
    for normalisation, found in zip(known, pixels, strict=True):
        levels = found * 255
        possible = found.min() > -_OUTSIDE and found.max() < 1 + _OUTSIDE and np.ptp(levels) > 1.5
        if possible and np.abs(levels - np.rint(levels)).mean() < _ON_GRID:
            return Reading(normalisation.name, normalisation is known[0], True, outside)
    misfits = [_misfit(found) for found in pixels]
    best = int(np.argmin(misfits))
    if misfits[best] <= _FITS and misfits[0] > misfits[best] + _BETTER:
        return Reading(known[best].name, False, False, outside)
    return Reading(_RIGHT if outside == 0 else None, outside == 0, False, outside)


def _undo(images: NDArray[np.float32], normalisation: Normalisation) -> NDArray[np.float32]:
    std = np.array(normalisation.std, np.float32).reshape(1, 3, 1, 1)
    return images * std + np.array(normalisation.mean, np.float32).reshape(1, 3, 1, 1)


def _misfit(pixels: NDArray[np.float32]) -> float:
    """How far the darkest and the brightest value of each channel are from black and white, on average."""
    return float((np.abs(pixels.min((0, 2, 3))) + np.abs(pixels.max((0, 2, 3)) - 1)).mean())
