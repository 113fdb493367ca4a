"""A challenge of fewer classes, for quick trials with many images of each; what they show need not hold for all."""

from dataclasses import replace

import numpy as np

from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet


def every_nth(challenge: Challenge, n: int, *sets: ImageSet) -> tuple[Challenge, list[ImageSet]]:
    """`challenge` and `sets` with the classes 0, n, 2n and so on alone, whose labels are then 0, 1, 2 and so on.

    Raises ValueError if fewer than two classes would be left.
    """
    if not 1 <= n < challenge.classes:
        raise ValueError(f"N must be between 1 and {challenge.classes - 1}, so that two classes are left, not {n}")
    fewer = replace(challenge, class_names=challenge.class_names[::n], wnids=challenge.wnids[::n])
    return fewer, [_of_every_nth(images, n) for images in sets]


def _of_every_nth(images: ImageSet, n: int) -> ImageSet:
    taken = images.take(np.flatnonzero(images.labels % n == 0))
    return ImageSet(taken.images, taken.labels // n)
