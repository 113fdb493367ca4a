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


def hold_out(train: ImageSet, share: float, most: int, seed: int = 0) -> tuple[ImageSet, ImageSet]:
    """Part `train` into what may be used and what choices are judged on; as many of each class, at random.

    Args:
        share: of each class that is held out.
        most: images held out in all, at least one a class.

    Returns:
        (the rest, the held-out images).
    """
    fewest = int(np.bincount(train.labels)[np.unique(train.labels)].min())
    each = max(1, min(int(share * fewest), most // len(np.unique(train.labels))))
    order = np.random.default_rng(seed).permutation(len(train))
    chosen = np.concatenate([order[train.labels[order] == label][:each] for label in np.unique(train.labels)])
    held = np.zeros(len(train), bool)
    held[chosen] = True
    return train.take(np.flatnonzero(~held)), train.take(np.flatnonzero(held))
