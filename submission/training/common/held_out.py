"""The tenth of the training split that is kept from training, to choose settings on. The test split only judges."""

import numpy as np

from evaluation.base.images import ImageSet


def split_held_out(training_split: ImageSet, fraction: float = 0.1) -> tuple[ImageSet, ImageSet]:
    """Training and held-out images: always the same `fraction` of each class. Raises ValueError for a single image."""
    draw = np.random.default_rng(0)
    held = np.zeros(len(training_split), bool)
    for label in np.unique(training_split.labels):
        members = np.flatnonzero(training_split.labels == label)
        if len(members) < 2:
            raise ValueError(f"class {label} has {len(members)} training image; at least 2 are needed")
        held[draw.permutation(members)[: max(1, round(fraction * len(members)))]] = True
    return training_split.take(np.flatnonzero(~held)), training_split.take(np.flatnonzero(held))
