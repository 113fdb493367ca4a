"""What the probe says of the order of the classes: how like each stored class is to each real one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.audits.base.probe import Probe

FEWEST = 3  # classes; any order of two is right or reversed

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """What the probe says: the classes that occur, their similarities, and those of two halves of the images.

    The halves have the classes of more than one image alone, `halved`.
    """

    present: NDArray[np.int64]
    whole: Matrix
    halved: NDArray[np.int64]
    halves: tuple[Matrix, Matrix] | None

    def z(self, order: NDArray[np.int64]) -> float:
        """The score of an order (a label for each class that occurs)."""
        return z_score(self.whole, order)


def gather(logits: NDArray[np.float32], labels: NDArray[np.int64], probe: Probe) -> Evidence:
    """Compare what the probe sees, float32 (N, classes), by label with the profiles of real images."""
    profiles, present = probe.facts.profiles, np.unique(labels)
    whole = similarities(logits, labels, profiles)
    halved = present[np.bincount(labels)[present] > 1]
    if len(halved) < FEWEST:
        return Evidence(present, whole, halved, None)
    position = np.random.default_rng(0).permutation(np.flatnonzero(np.isin(labels, halved)))
    position = position[np.argsort(labels[position], kind="stable")]
    one, other = (similarities(logits[half], labels[half], profiles) for half in (position[::2], position[1::2]))
    return Evidence(present, whole, halved, (one, other))


def similarities(logits: NDArray[np.float32], labels: NDArray[np.int64], profiles: NDArray[np.float32]) -> Matrix:
    """Cosines between stored classes and real ones: float64 (stored classes, classes).

    Rows are the classes that occur in `labels`, in rising order. Profiles are centred over the classes on both sides,
    so that what all images share says nothing, and the result over its rows and columns, so that a random order has
    mean 0.
    """
    means = class_means(logits, labels).astype(np.float64)
    scale = profiles.std(0, dtype=np.float64)
    stored, real = ((p - p.mean(0)) / scale for p in (means, profiles.astype(np.float64)))
    stored /= np.linalg.norm(stored, axis=1, keepdims=True).clip(1e-9)
    real /= np.linalg.norm(real, axis=1, keepdims=True)
    cosines: Matrix = stored @ real.T
    return cosines - cosines.mean(0) - cosines.mean(1, keepdims=True) + cosines.mean()


def z_score(matrix: Matrix, order: NDArray[np.int64]) -> float:
    """How many deviations the sum of `matrix[i, order[i]]` is above that of random one-to-one assignments."""
    if len(order) < FEWEST:
        return 0.0
    variance = (matrix**2).sum() / (len(matrix) - 1) / matrix.shape[1]
    return float(matrix[np.arange(len(order)), order].sum() / max(np.sqrt(variance * len(order)), 1e-12))


def assign(matrix: Matrix) -> NDArray[np.int64]:
    """The one-to-one assignment of rows to columns with the largest sum: a column for each row."""
    from scipy.optimize import linear_sum_assignment

    return np.asarray(linear_sum_assignment(matrix, maximize=True)[1], np.int64)


def class_means(logits: NDArray[np.float32], groups: NDArray[np.int64]) -> NDArray[np.float32]:
    """The mean logits of each group, in rising order."""
    return np.stack([logits[groups == group].mean(0) for group in np.unique(groups)])
