"""Do the labels say what the images show? Nothing in the challenge checks it, and one published entry got it wrong.

The shipped probe looks at the images. The mean of its logits over the images of a class is the profile of that class;
profiles are compared with those of real images by cosine, and the best one-to-one assignment of stored classes to real
ones (the Hungarian method) is held against the order as given.

A poor generator must not be blamed. So an order is called wrong only where the given one agrees no better than chance
among the classes that would move, while the other one agrees clearly with images that it was not found from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.audits.audit import Audit, Number, Status
from evaluation.challenge import Challenge
from evaluation.images import ImageSet
from evaluation.orders import Order, named_orders
from evaluation.probe import Probe, network_logits

_SAMPLED = 10_000  # images the probe looks at
_CLEAR_Z, _CLEAR_COSINE = 2.8, 0.35  # of the other order, on images that it was not found from
_CHANCE_COSINE = 0.15  # of the given order among the classes that would move
_HALVES_AGREE = 0.7  # share of the moving classes that two halves of the images send to the same place
_NAMED_Z = 5.0  # of an order with a name, where there are too few images for halves
_CHANCE_Z = 2.5  # of the given order, there
_CALLED = 0.7  # share of the classes in which an order with a name agrees with the one found
_FAILED_SHARE = 0.05  # of the classes in a wrong place

_Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class _Finding:
    """An order found from images: for each stored class the real one, and which classes it moves."""

    order: Order
    moved: NDArray[np.int64]
    name: str | None


def audit_class_order(images: ImageSet, challenge: Challenge, probe: Probe) -> Audit:
    """Hold the given order of the classes against the one that the images themselves suggest.

    Numbers: `agreement` (share of images to which the probe gives the stored label), `agreement_suggested` (in the
    suggested order), `z` (of the given order against random ones), `moved` (classes in a wrong place), `order`
    (suggested, `order[i]` is the label of what is stored under i; absent where the given one stands), `called`.
    """
    sample = _sample(images)
    logits = network_logits(probe.network, sample.images, challenge)
    labels, guesses = sample.labels, logits.argmax(1)
    present = np.unique(labels)
    matrix = similarities(logits, labels, probe.facts.profiles)
    numbers: dict[str, Number] = {
        "agreement": float((guesses == labels).mean()),
        "z": z_score(matrix, np.arange(len(present)), present),
        "moved": 0,
    }
    finding = _find(logits, labels, matrix, present, challenge, probe)
    if finding is None:
        told = f"the probe gives {numbers['agreement']:.1%} of the images their label"
        if numbers["z"] < _CHANCE_Z:  # type: ignore[operator]
            told += ", no better than chance: the images do not tell what order they are in"
        return Audit("class_order", "pass", told, numbers)
    suggested = float((guesses == finding.order[labels]).mean())
    numbers |= {
        "agreement_suggested": suggested,
        "moved": len(finding.moved),
        "order": [int(label) for label in finding.order],
        "called": finding.name,
    }
    first = int(finding.moved[0])
    told = (
        f"the labels are in the wrong order: the probe gives {numbers['agreement']:.1%} of the images their label, but"
        f" {suggested:.1%} if the classes are {finding.name or 'permuted'} ({len(finding.moved)} classes move; what is"
        f" stored as {challenge.folder_name(first)} shows {challenge.folder_name(int(finding.order[first]))})"
    )
    status: Status = "fail" if len(finding.moved) >= _FAILED_SHARE * challenge.classes else "warn"
    return Audit("class_order", status, told, numbers)


def similarities(logits: NDArray[np.float32], labels: NDArray[np.int64], profiles: NDArray[np.float32]) -> _Matrix:
    """Cosines between stored classes and real ones: float64 (stored classes, classes).

    Rows are the classes that occur in `labels`, in rising order. Profiles are centred over the classes on both sides,
    so that what all images share says nothing, and the result over its rows and columns, so that a random order has
    mean 0.
    """
    means = np.stack([logits[labels == label].mean(0) for label in np.unique(labels)]).astype(np.float64)
    scale = profiles.std(0, dtype=np.float64)
    stored, real = ((p - p.mean(0)) / scale for p in (means, profiles.astype(np.float64)))
    stored /= np.linalg.norm(stored, axis=1, keepdims=True).clip(1e-9)
    real /= np.linalg.norm(real, axis=1, keepdims=True)
    cosines: _Matrix = stored @ real.T
    return cosines - cosines.mean(0) - cosines.mean(1, keepdims=True) + cosines.mean()


def z_score(matrix: _Matrix, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> float:
    """How many deviations the sum over `matrix[rows, columns]` is above that of random one-to-one assignments."""
    if len(rows) < 2:
        return 0.0
    variance = (matrix**2).sum() / (len(matrix) - 1) / matrix.shape[1]
    return float(matrix[rows, columns].sum() / max(np.sqrt(variance * len(rows)), 1e-12))


def _sample(images: ImageSet) -> ImageSet:
    if len(images) <= _SAMPLED:
        return images
    return images.take(np.sort(np.random.default_rng(0).choice(len(images), _SAMPLED, replace=False)))


def _assign(matrix: _Matrix) -> NDArray[np.int64]:
    """The one-to-one assignment of rows to columns with the largest sum: a column for each row."""
    from scipy.optimize import linear_sum_assignment

    return np.asarray(linear_sum_assignment(matrix, maximize=True)[1], np.int64)


def _find(
    logits: NDArray[np.float32],
    labels: NDArray[np.int64],
    matrix: _Matrix,
    present: NDArray[np.int64],
    challenge: Challenge,
    probe: Probe,
) -> _Finding | None:
    """The order that the images suggest, None where the given one stands."""
    if len(present) < 3:
        return None
    named = named_orders(challenge)
    if np.bincount(labels)[present].min() >= 2:
        if not _halves_contradict(logits, labels, present, probe):
            return None
        assigned = _assign(matrix)
        name = max(named, key=lambda name: (named[name][present] == assigned).mean())
        if (named[name][present] == assigned).mean() < _CALLED:
            return _finding(assigned, present, challenge, None)
    else:
        rows = np.arange(len(present))
        name = max(named, key=lambda name: z_score(matrix, rows, named[name][present]))
        if z_score(matrix, rows, present) > _CHANCE_Z or z_score(matrix, rows, named[name][present]) < _NAMED_Z:
            return None
    return _finding(named[name][present], present, challenge, name)


def _halves_contradict(
    logits: NDArray[np.float32], labels: NDArray[np.int64], present: NDArray[np.int64], probe: Probe
) -> bool:
    """Whether the order found from either half of the images beats the given one on the other half."""
    position = np.random.default_rng(0).permutation(len(labels))
    position = position[np.argsort(labels[position], kind="stable")]
    halves = [
        similarities(logits[part], labels[part], probe.facts.profiles) for part in (position[::2], position[1::2])
    ]
    orders = [_assign(half) for half in halves]
    best, given, z = [], [], []
    for order, other in ((orders[0], halves[1]), (orders[1], halves[0])):
        moved = np.flatnonzero(order != present)
        if len(moved) < 2:
            return False
        best.append(other[moved, order[moved]].mean())
        given.append(other[moved, present[moved]].mean())
        z.append(z_score(other, moved, order[moved]))
    moved = (orders[0] != present) | (orders[1] != present)
    agree = (orders[0] == orders[1])[moved].mean()
    return bool(
        agree >= _HALVES_AGREE
        and np.mean(z) >= _CLEAR_Z
        and np.mean(best) >= _CLEAR_COSINE
        and np.mean(given) <= _CHANCE_COSINE
    )


def _finding(
    assigned: NDArray[np.int64], present: NDArray[np.int64], challenge: Challenge, name: str | None
) -> _Finding:
    """Complete an order over the classes that have no image: in their own place where it is free."""
    order = np.full(challenge.classes, -1)
    order[present] = assigned
    free = set(range(challenge.classes)) - set(assigned.tolist())
    for label in np.flatnonzero(order < 0):
        order[label] = label if label in free else min(free)
        free.remove(int(order[label]))
    return _Finding(order, present[assigned != present], name)
