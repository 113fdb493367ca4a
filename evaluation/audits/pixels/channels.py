"""Are red, green and blue what they say, and light light? Read off the mean colours of the classes."""

from __future__ import annotations

from itertools import permutations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluation.audits.base.probe import Facts
from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet

_NAMES = ("red", "green", "blue")
# Deviations of random orders of the classes by which a change must agree better than the colours as given. 10,000 sets
# of random class colours have at most 4.0, noise and real images in a wrong class order 2.1. Right real images, however
# blurred, and Gaussians in 5 and 30 components need no change: 0. Changed ones, 1, 2 and 10 real images a class: red
# and blue swapped 5.3, 7.0, 9.3 or more, other orders 3.4, 6.0, 8.9, negatives 4.1, 6.2, 10.8; the change is named
# right each time. Gaussians swapped have 5.6 or more.
_CHANGED_Z = 4.5


class Colours(NamedTuple):
    """The change of the colours that brings them nearest to the real ones.

    Attributes:
        told: what seems to be wrong with them, empty where they are best as they are or nothing is sure.
        z: how much better the change agrees, in deviations of random orders of the classes; 0 for no change.
    """

    told: str
    z: float


def read_colours(pixels: ImageSet, challenge: Challenge, facts: Facts) -> Colours | None:
    """Compare the mean colours of the classes with the real ones in all orders of the channels and as negatives.

    Both are freed of their means over the classes, so that a cast or a normalisation that all images share says
    nothing. None where that cannot tell: real images are grey, or less than half of the classes have an image.
    """
    present = np.unique(pixels.labels)
    if np.ptp(facts.colours, axis=1).max() < 1 / 255 or len(present) < challenge.classes // 2:
        return None
    stored = np.stack([pixels.images[pixels.labels == label].mean((0, 2, 3)) / 255 for label in present])
    real = facts.colours[present].astype(np.float64)
    stored, real = stored - stored.mean(0), real - real.mean(0)
    changes = [(sign, order) for sign in (1, -1) for order in permutations(range(3))]
    sign, order = max(changes, key=lambda change: float((change[0] * stored[:, change[1]] * real).sum()))
    z = _z(sign * stored[:, order] - stored, real)
    return Colours(_told(sign, order) if z >= _CHANGED_Z else "", z)


def _z(gain: NDArray[np.float64], real: NDArray[np.float64]) -> float:
    """The sum of the products of two sets of colours (C, 3) of mean 0, in deviations of it over orders of the C."""
    variance = ((gain.T @ gain) * (real.T @ real)).sum() / (len(real) - 1)
    return float((gain * real).sum() / max(variance**0.5, 1e-12))


def _told(sign: int, order: tuple[int, ...]) -> str:
    """Name a change; `order[i]` is the stored channel that shows the real channel i."""
    moved = [_NAMES[channel] for channel in range(3) if order[channel] != channel]
    told = ["the images seem to be negatives"] if sign < 0 else []
    if len(moved) == 2:
        told.append(f"{moved[0]} and {moved[1]} seem to be swapped")
    elif moved:
        stored = ", ".join(_NAMES[order.index(channel)] for channel in range(3))
        told.append(f"the channels seem to be stored as {stored}")
    return " and ".join(told)
