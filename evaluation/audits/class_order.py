"""Do the labels match what the images show? Nothing in the challenge checks it, and one published entry got it wrong.

The shipped probe classifies the images. The mean of its logits over the images of a class is that class's profile;
profiles are compared with those of real images by cosine similarity, and the best one-to-one assignment of stored
classes to real ones (the Hungarian method) is compared with the order as given.

A poor generator must not be blamed. Even if the probe can hardly recognise its images, they agree with their own order
far better than with random orders. So two things are reported as wrong: an order that agrees no better than a random
one while another order agrees clearly, on images that it was not found from; and single classes that two halves of the
images both assign to the same other class by a wide margin. The halves are independent only if no picture is in both,
so an order must still be suggested when images of the same picture count once, and must gain more pictures than it
loses beyond chance. Plain images are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluation.audits.audit import Finding, Number
from evaluation.audits.distinct_pictures import group_by_picture, not_plain
from evaluation.audits.probe import Probe, network_logits
from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet
from evaluation.submitted.class_order_file import Order, named_orders

_FEWEST_CLASSES = 3  # any order of two classes is right or reversed
_MOST_IMAGES = 10_000  # that the probe classifies
# Scores of orders, in standard deviations of random orders. CIFAR-100, 1 to 50 images per class: the right order has 19
# to 26 for real images, 6 and more for a Gaussian in 5 principal components, -2 to 2 for noise; a wrong one -2 to 2 for
# all. Tiny-ImageNet: 28 to 35 and 6 and more; shifted by one still a third of that, since neighbours in WordNet are
# alike. With the 10 classes of the digits no order can have more than 7.
_CHANCE_Z = 3.0  # an order below agrees no better than a random one
_NAMED_Z, _NAMED_LEAD = 5.0, 4.0  # an order that people use by mistake: score, and lead over the given one
_FOUND_Z = 5.0  # any other order, found on half of the images, on the other half; 0 to 2 for noise, 4.5 for negatives
# Cosines of single classes: the lower of two halves with the other class, and its lead over the given class. With
# these, no more than 2 of 100 classes are contradicted in the right order, whatever the generator; of 10 that are
# wrong, 7 are, from 10 images per class on.
_SINGLE_COSINE, _SINGLE_LEAD = 0.6, 0.5
_CONTRADICTED_FRACTION = 0.03  # of the classes, and at least two
_NAMED_FRACTION = 0.7  # of the classes in which a named order must agree with the one found to lend it its name
_FAILED_FRACTION = 0.05  # of the classes in a wrong place
# A sign test: pictures that get their label under the suggested order alone against those under the given one alone.
# Real images, one per class, in a wrong order have 3.2 (digits), 7.3 (CIFAR-100), 8.0 (Tiny-ImageNet); with a tenth of
# the classes in a wrong place, 10 images each, 4.5 and more.
_GAIN_Z = 2.5

Matrix = NDArray[np.float64]


def audit_class_order(images: ImageSet, challenge: Challenge, probe: Probe) -> Finding:
    """Compare the given order of the classes with the one that the images themselves suggest.

    Numbers: `agreement` (fraction of images that the probe gives the stored label), `agreement_suggested` (in the
    suggested order), `z` (of the given order against random ones), `moved` (classes in a wrong place), `order`
    (suggested, `order[i]` is the label of what is stored under i; absent if the given one stands), `called` (its name),
    and to look at `seen` (the real class that each stored one resembles most, -1 without an image that is not plain).
    """
    sample = images
    if len(images) > _MOST_IMAGES:
        chosen = np.random.default_rng(0).choice(len(images), _MOST_IMAGES, replace=False)
        sample = images.take(np.sort(chosen))
    logits = network_logits(probe.network, sample.images, challenge)
    predicted, seen = logits.argmax(1), np.full(challenge.classes, -1)
    agreement = float((predicted == sample.labels).mean())
    evidence = f"the probe gives {agreement:.1%} of the images their label"
    numbers: dict[str, Number] = {"agreement": agreement, "z": 0.0, "moved": 0, "seen": seen.tolist()}
    clear = not_plain(sample.images)
    shown, logits, labels = sample.images[clear], logits[clear], sample.labels[clear]
    if len(np.unique(labels)) < _FEWEST_CLASSES:
        evidence += f"; fewer than {_FEWEST_CLASSES} classes have images that are not plain, too few to tell an order"
        return Finding("pass", evidence, numbers, conclusive=False)
    similarity = _Similarity.measure(logits, labels, probe)
    z = similarity.z(similarity.present)
    seen[similarity.present] = similarity.whole.argmax(1)
    numbers |= {"z": z, "seen": seen.tolist()}
    suggestion = _suggest(similarity, challenge)
    if suggestion is not None:
        picture_logits, picture_labels = _count_pictures_once(shown, logits, labels, challenge, probe)
        suggestion = _suggest(_Similarity.measure(picture_logits, picture_labels, probe), challenge)
        if suggestion is None or _gain_z(picture_logits, picture_labels, suggestion.order) < _GAIN_Z:
            evidence += "; another order seems more likely, but too few distinct pictures support it"
            suggestion = None
    if suggestion is None:
        if z < _CHANCE_Z:
            evidence += "; the given order agrees no better than chance, and the images do not tell a better one"
        return Finding("pass", evidence, numbers, conclusive=z >= _CHANCE_Z)
    suggested = float((predicted == suggestion.order[sample.labels]).mean())
    numbers |= {"agreement_suggested": suggested, "moved": len(suggestion.moved)}
    numbers |= {"order": suggestion.order.tolist(), "called": suggestion.name}
    first = suggestion.moved[0]
    stored, shown_class = (challenge.folder_name(int(label)) for label in (first, suggestion.order[first]))
    evidence = (
        f"the labels are in the wrong order: {evidence}, but {suggested:.1%} if the classes are"
        f" {suggestion.name or 'permuted'} ({len(suggestion.moved)} classes move; what is stored as {stored} shows"
        f" {shown_class})"
    )
    many = len(suggestion.moved) >= _FAILED_FRACTION * challenge.classes
    return Finding("fail" if many else "warn", evidence, numbers)


def _cosines(logits: NDArray[np.float32], labels: NDArray[np.int64], profiles: NDArray[np.float32]) -> Matrix:
    """Cosines between stored and real classes: float64 (stored classes, classes).

    Rows are the classes that occur in `labels`, in ascending order. Profiles are centred over the classes on both
    sides, so that what all images have in common has no influence; the result is centred over its rows and columns, so
    that a random order has mean 0.
    """
    means = _group_means(logits, labels).astype(np.float64)
    scale = profiles.std(0, dtype=np.float64)
    stored, real = ((p - p.mean(0)) / scale for p in (means, profiles.astype(np.float64)))
    stored /= np.linalg.norm(stored, axis=1, keepdims=True).clip(1e-9)
    real /= np.linalg.norm(real, axis=1, keepdims=True)
    cosines: Matrix = stored @ real.T
    return cosines - cosines.mean(0) - cosines.mean(1, keepdims=True) + cosines.mean()


@dataclass(frozen=True)
class _Similarity:
    """How similar each stored class is to each real one, on all images and on two halves.

    Attributes:
        present, whole: the classes that occur; on all images, (present, classes).
        halved: the classes with more than one image.
        halves: on each half of the images of these; None where `halved` are too few.
    """

    present: NDArray[np.int64]
    whole: Matrix
    halved: NDArray[np.int64]
    halves: tuple[Matrix, Matrix] | None

    @classmethod
    def measure(cls, logits: NDArray[np.float32], labels: NDArray[np.int64], probe: Probe) -> _Similarity:
        """Compare the probe's logits, float32 (N, classes), by label with the profiles of real images."""
        profiles, present = probe.facts.profiles, np.unique(labels)
        whole = _cosines(logits, labels, profiles)
        halved = present[np.bincount(labels)[present] > 1]
        if len(halved) < _FEWEST_CLASSES:
            return cls(present, whole, halved, None)
        position = np.random.default_rng(0).permutation(np.flatnonzero(np.isin(labels, halved)))
        position = position[np.argsort(labels[position], kind="stable")]
        one, other = (_cosines(logits[half], labels[half], profiles) for half in (position[::2], position[1::2]))
        return cls(present, whole, halved, (one, other))

    def z(self, order: NDArray[np.int64]) -> float:
        """The score of an order, a label for each class that occurs."""
        return _z_score(self.whole, order)

    def found_z(self) -> float:
        """The score of one half's best order on the other half, averaged over both directions; 0 without halves."""
        if self.halves is None:
            return 0.0
        one, other = self.halves
        return (_z_score(other, _assign(one)) + _z_score(one, _assign(other))) / 2

    def contradicted(self) -> int:
        """How many classes both halves clearly assign to the same other class."""
        if self.halves is None:
            return 0
        one, other = self.halves
        order = _assign(one)
        rows = np.flatnonzero((order == _assign(other)) & (order != self.halved))
        cosine = np.minimum(one[rows, order[rows]], other[rows, order[rows]])
        lead = np.minimum(*(half[rows, order[rows]] - half[rows, self.halved[rows]] for half in (one, other)))
        return int(((cosine >= _SINGLE_COSINE) & (lead >= _SINGLE_LEAD)).sum())


def _z_score(matrix: Matrix, order: NDArray[np.int64]) -> float:
    """The sum of `matrix[i, order[i]]` in standard deviations of random one-to-one assignments."""
    if len(order) < _FEWEST_CLASSES:
        return 0.0
    variance = (matrix**2).sum() / (len(matrix) - 1) / matrix.shape[1]
    return float(matrix[np.arange(len(order)), order].sum() / max(np.sqrt(variance * len(order)), 1e-12))


def _assign(matrix: Matrix) -> NDArray[np.int64]:
    """The one-to-one assignment of rows to columns with the largest sum: a column for each row."""
    from scipy.optimize import linear_sum_assignment

    return np.asarray(linear_sum_assignment(matrix, maximize=True)[1], np.int64)


def _group_means(logits: NDArray[np.float32], groups: NDArray[np.int64]) -> NDArray[np.float32]:
    """The mean logits of each group, in ascending order."""
    return np.stack([logits[groups == group].mean(0) for group in np.unique(groups)])


class _Suggestion(NamedTuple):
    """An order found from images: for each stored class the real one, which classes it moves, and its name if any."""

    order: Order
    moved: NDArray[np.int64]
    name: str | None


def _suggest(similarity: _Similarity, challenge: Challenge) -> _Suggestion | None:
    """The order that the images suggest; None if the given one stands."""
    present, named = similarity.present, named_orders(challenge)
    given = similarity.z(present)
    name = max(named, key=lambda name: similarity.z(named[name][present]))
    if similarity.z(named[name][present]) >= max(_NAMED_Z, given + _NAMED_LEAD):
        return _completed(named[name][present], present, challenge, name)
    if given < _CHANCE_Z:
        if similarity.found_z() < _FOUND_Z:
            return None
        assigned = _assign(similarity.whole)
    else:
        if similarity.contradicted() < max(2, _CONTRADICTED_FRACTION * challenge.classes):
            return None
        biased = similarity.whole.copy()
        biased[np.arange(len(present)), present] += _SINGLE_LEAD  # a class moves for a clear gain only
        assigned = _assign(biased)
        if (assigned == present).all():
            return None
    name = max(named, key=lambda name: (named[name][present] == assigned).mean())
    if (named[name][present] == assigned).mean() >= _NAMED_FRACTION:
        return _completed(named[name][present], present, challenge, name)
    return _completed(assigned, present, challenge, None)


def _completed(
    assigned: NDArray[np.int64], present: NDArray[np.int64], challenge: Challenge, name: str | None
) -> _Suggestion:
    """Extend an order to the classes without images, which keep their own label where it is free."""
    order = np.full(challenge.classes, -1)
    order[present] = assigned
    free = set(range(challenge.classes)) - set(assigned.tolist())
    for label in np.flatnonzero(order < 0):
        order[label] = label if label in free else min(free)
        free.remove(int(order[label]))
    return _Suggestion(order, present[assigned != present], name)


def _count_pictures_once(
    images: NDArray[np.uint8],
    logits: NDArray[np.float32],
    labels: NDArray[np.int64],
    challenge: Challenge,
    probe: Probe,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits and labels of distinct pictures; the logits of images that show the same picture are averaged."""
    profiles = probe.facts.profiles
    picture_N = group_by_picture(images, (logits - profiles.mean(0)) / profiles.std(0), labels, challenge)
    compared = picture_N >= 0
    first = np.unique(picture_N[compared], return_index=True)[1]
    return _group_means(logits[compared], picture_N[compared]), labels[compared][first]


def _gain_z(logits: NDArray[np.float32], labels: NDArray[np.int64], order: Order) -> float:
    """Sign test: by how many standard deviations more pictures get their label under `order` alone than as given."""
    predicted = logits.argmax(1)
    gained = int(((predicted == order[labels]) & (predicted != labels)).sum())
    lost = int(((predicted == labels) & (predicted != order[labels])).sum())
    return float((gained - lost) / max(gained + lost, 1) ** 0.5)
