"""Do the labels say what the images show? Nothing in the challenge checks it, and one published entry got it wrong.

The shipped probe looks at the images. The mean of its logits over the images of a class is the profile of that class;
profiles are compared with those of real images by cosine, and the best one-to-one assignment of stored classes to real
ones (the Hungarian method) is held against the order as given.

A poor generator must not be blamed. Even one whose images the probe can hardly name agrees with its own order far
better than random orders do. So two things are called wrong: an order that agrees no better than a random one while
another agrees clearly, with images that it was not found from; and single classes that two halves of the images both
send to the same other place by a wide margin. Halves tell that much only where no picture is in both: an order must
still be suggested when images of one picture count once, and gain more pictures than it loses beyond chance. Plain
images are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.audits.base.audit import Audit, Number, Status
from evaluation.audits.base.probe import Probe, network_logits
from evaluation.audits.copies.redundancy import pictures, telling
from evaluation.audits.order.evidence import FEWEST, Evidence, Matrix, assign, class_means, gather, z_score
from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet
from evaluation.submitted.class_order_file import Order, named_orders

_SAMPLED = 10_000  # images the probe looks at
# Scores of orders, in deviations of random orders. CIFAR-100, 1 to 50 images a class: the right order has 19 to 26 for
# real images, 6 and more for a Gaussian in 5 principal components, -2 to 2 for noise; a wrong one -2 to 2 for all.
# Tiny-ImageNet: 28 to 35 and 6 and more; shifted by one still a third of that, since neighbours in WordNet are alike.
# With the 10 classes of the digits no order can have more than 7.
_CHANCE_Z = 3.0  # an order below agrees no better than a random one
_NAMED_Z, _NAMED_LEAD = 5.0, 4.0  # one that people are known to use: right if above and so far ahead of the given one
_FOUND_Z = 5.0  # any other one, found from half of the images, on the other half; 0 to 2 for noise, 4.5 for negatives
# Cosines of single classes: the lesser of two halves to the other place, and its lead over the given place. With these,
# no more than 2 of 100 classes are contradicted in the right order, whatever the generator; of 10 that are wrong, 7 are
# from 10 images a class on.
_SINGLE_COSINE, _SINGLE_LEAD = 0.6, 0.5
_SINGLES = 0.03  # share of the classes that must be contradicted, and at least two
_CALLED = 0.7  # share of the classes in which an order with a name agrees with the one found
_FAILED_SHARE = 0.05  # of the classes in a wrong place
# A sign test: pictures that get their label by the suggested order alone against those by the given one alone. Real
# images, one a class, in a wrong order have 3.2 (digits), 7.3 (CIFAR-100), 8.0 (Tiny-ImageNet); a tenth of the classes
# in a wrong place, 10 images each, 4.5 and more.
_GAIN_Z = 2.5


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
    (suggested, `order[i]` is the label of what is stored under i; absent where the given one stands), `called`, and to
    look at `seen` (the real class that each stored one is most like, -1 where it has no image that shows something).
    """
    sample = _sample(images)
    logits = network_logits(probe.network, sample.images, challenge)
    guesses, seen = logits.argmax(1), np.full(challenge.classes, -1)
    agreement = float((guesses == sample.labels).mean())
    told = f"the probe gives {agreement:.1%} of the images their label"
    numbers: dict[str, Number] = {"agreement": agreement, "z": 0.0, "moved": 0, "seen": seen.tolist()}
    clear = telling(sample.images)
    shown, logits, labels = sample.images[clear], logits[clear], sample.labels[clear]
    if len(np.unique(labels)) < FEWEST:
        told += (
            f"; fewer than {FEWEST} classes have images that are not plain: so few do not tell what order they are in"
        )
        return Audit("class_order", "pass", told, numbers)
    evidence = gather(logits, labels, probe)
    z = evidence.z(evidence.present)
    seen[evidence.present] = evidence.whole.argmax(1)
    numbers |= {"z": z, "seen": seen.tolist()}
    finding = _find(evidence, challenge)
    if finding is not None:
        once = _once(shown, logits, labels, challenge, probe)
        finding = _find(gather(*once, probe), challenge)
        if finding is None or _gain_z(*once, finding.order) < _GAIN_Z:
            told += "; another order seems likelier, but too few distinct pictures tell so"
            finding = None
    if finding is None:
        if z < _CHANCE_Z:
            told += "; the given order agrees no better than chance: the images do not tell what order they are in"
        return Audit("class_order", "pass", told, numbers)
    suggested = float((guesses == finding.order[sample.labels]).mean())
    numbers |= {
        "agreement_suggested": suggested,
        "moved": len(finding.moved),
        "order": [int(label) for label in finding.order],
        "called": finding.name,
    }
    first = int(finding.moved[0])
    told = (
        f"the labels are in the wrong order: the probe gives {agreement:.1%} of the images their label, but"
        f" {suggested:.1%} if the classes are {finding.name or 'permuted'} ({len(finding.moved)} classes move; what is"
        f" stored as {challenge.folder_name(first)} shows {challenge.folder_name(int(finding.order[first]))})"
    )
    status: Status = "fail" if len(finding.moved) >= _FAILED_SHARE * challenge.classes else "warn"
    return Audit("class_order", status, told, numbers)


def _once(
    images: NDArray[np.uint8],
    logits: NDArray[np.float32],
    labels: NDArray[np.int64],
    challenge: Challenge,
    probe: Probe,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits and labels of pictures: of images that are one picture the mean."""
    profiles = probe.facts.profiles
    numbers = pictures(images, (logits - profiles.mean(0)) / profiles.std(0), labels, challenge)
    compared = numbers >= 0
    first = np.unique(numbers[compared], return_index=True)[1]
    return class_means(logits[compared], numbers[compared]), labels[compared][first]


def _gain_z(logits: NDArray[np.float32], labels: NDArray[np.int64], order: Order) -> float:
    """Deviations by which more pictures get their label by `order` alone than by the given one alone: a sign test."""
    guesses = logits.argmax(1)
    gained, lost = (
        int(((guesses == one) & (guesses != other)).sum())
        for one, other in ((order[labels], labels), (labels, order[labels]))
    )
    return float((gained - lost) / max(gained + lost, 1) ** 0.5)


def _sample(images: ImageSet) -> ImageSet:
    if len(images) <= _SAMPLED:
        return images
    return images.take(np.sort(np.random.default_rng(0).choice(len(images), _SAMPLED, replace=False)))


def _find(evidence: Evidence, challenge: Challenge) -> _Finding | None:
    """The order that the images suggest, None where the given one stands."""
    present, named = evidence.present, named_orders(challenge)
    given = evidence.z(present)
    name = max(named, key=lambda name: evidence.z(named[name][present]))
    if evidence.z(named[name][present]) >= max(_NAMED_Z, given + _NAMED_LEAD):
        return _finding(named[name][present], present, challenge, name)
    if given < _CHANCE_Z:
        if evidence.halves is None or _found_z(*evidence.halves) < _FOUND_Z:
            return None
        assigned = assign(evidence.whole)
    else:
        contradicted = 0 if evidence.halves is None else _contradicted(*evidence.halves, evidence.halved)
        if contradicted < max(2, _SINGLES * challenge.classes):
            return None
        leaning = evidence.whole.copy()
        leaning[np.arange(len(present)), present] += _SINGLE_LEAD  # a class moves for a clear gain only
        assigned = assign(leaning)
        if (assigned == present).all():
            return None
    name = max(named, key=lambda name: (named[name][present] == assigned).mean())
    if (named[name][present] == assigned).mean() >= _CALLED:
        return _finding(named[name][present], present, challenge, name)
    return _finding(assigned, present, challenge, None)


def _found_z(one: Matrix, other: Matrix) -> float:
    """The score of the best order of one half on the other half, averaged over the two ways."""
    return (z_score(other, assign(one)) + z_score(one, assign(other))) / 2


def _contradicted(one: Matrix, other: Matrix, present: NDArray[np.int64]) -> int:
    """How many classes both halves send to the same other place, clearly."""
    order = assign(one)
    rows = np.flatnonzero((order == assign(other)) & (order != present))
    there = np.minimum(one[rows, order[rows]], other[rows, order[rows]])
    lead = np.minimum(*(half[rows, order[rows]] - half[rows, present[rows]] for half in (one, other)))
    return int(((there >= _SINGLE_COSINE) & (lead >= _SINGLE_LEAD)).sum())


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
