"""Random subsets of real images: the baseline that generated ones are held against."""

from __future__ import annotations

import numpy as np

from evaluation.images import ImageSet


def random_subset(images: ImageSet, per_class: int, seed: int) -> ImageSet:
    """At most `per_class` random images of each class, none twice."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(images))
    by_class = [order[images.labels[order] == label][:per_class] for label in np.unique(images.labels)]
    chosen = np.concatenate(by_class)
    return ImageSet(images.images[chosen], images.labels[chosen])
