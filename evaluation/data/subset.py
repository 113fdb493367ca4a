"""Subsets of labelled images: random real ones to hold generated ones against, held-out ones to choose by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaluation.base.images import ImageSet


def random_subset(images: ImageSet, per_class: int, seed: int) -> ImageSet:
    """At most `per_class` random images of each class, none twice."""
    return images.take(random_index(images.labels, per_class, seed))


def random_index(labels: NDArray[np.int64], per_class: int, seed: int) -> NDArray[np.int64]:
    """Where the images of `random_subset` stand."""
    order = np.random.default_rng(seed).permutation(len(labels))
    return np.concatenate([order[labels[order] == label][:per_class] for label in np.unique(labels)])


def first_of_each(images: ImageSet, per_class: int) -> ImageSet:
    """The first `per_class` images of each class, fewer where it has fewer; class by class."""
    return images.take(first_index(images.labels, per_class))


def first_index(labels: NDArray[np.int64], per_class: int) -> NDArray[np.int64]:
    """Where the images of `first_of_each` stand."""
    return np.concatenate([np.flatnonzero(labels == label)[:per_class] for label in np.unique(labels)])


def balanced_split(train: ImageSet, fraction: float, maximum: int, seed: int = 0) -> tuple[ImageSet, ImageSet]:
    """Hold out equally many random images of each class, to make choices on.

    Args:
        fraction: of the rarest class that is held out, at least one image.
        maximum: images held out in all.

    Returns:
        (the rest, the held-out images).
    """
    fewest = int(np.bincount(train.labels)[np.unique(train.labels)].min())
    each = max(1, min(int(fraction * fewest), maximum // len(np.unique(train.labels))))
    held = np.zeros(len(train), bool)
    held[random_index(train.labels, each, seed)] = True
    return train.take(np.flatnonzero(~held)), train.take(np.flatnonzero(held))
