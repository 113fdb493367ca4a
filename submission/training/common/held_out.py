"""The share of the training split that is kept from training, to choose settings on. The test split only judges."""

from __future__ import annotations

import numpy as np

from evaluation.base.images import ImageSet

SHARE = 0.1


def hold_out(training_split: ImageSet, share: float = SHARE) -> tuple[ImageSet, ImageSet]:
    """Training and held-out images: of each class the same `share` of its images, at least one, always the same ones.

    Raises:
        ValueError: a class has fewer than two images.
    """
    draw = np.random.default_rng(0)
    held = np.zeros(len(training_split), bool)
    for label in np.unique(training_split.labels):
        members = np.flatnonzero(training_split.labels == label)
        if len(members) < 2:
            raise ValueError(f"class {label} has {len(members)} training image; at least 2 are needed")
        held[draw.permutation(members)[: max(1, round(share * len(members)))]] = True
    return _part(training_split, ~held), _part(training_split, held)


def _part(images: ImageSet, chosen: np.ndarray) -> ImageSet:
    return ImageSet(images.images[chosen], images.labels[chosen])
