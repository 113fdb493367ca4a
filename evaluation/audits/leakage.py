"""Are there copies of test images, or stored copies of training images, among the submitted ones?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.audits.audit import Audit, Number, Status
from evaluation.audits.near import Nearest, ReferenceSet
from evaluation.challenge import Challenge
from evaluation.images import ImageSet


@dataclass(frozen=True)
class _Measured:
    """What holds of real images, measured between the two splits; tests/evaluation/test_audits_leakage.py holds it.

    Attributes:
        near: correlation from which two pictures are near-copies.
        real_share: share of test images that have a near-copy in the training split.
        in_both: test images that are, pixel by pixel, training images as well.
        odds: size of the test split against that of the training split.
    """

    near: float
    real_share: float
    in_both: int
    odds: float


_MEASURED = {
    "cifar100": _Measured(near=0.98, real_share=0.0056, in_both=10, odds=0.2),
    "tiny-imagenet": _Measured(near=0.98, real_share=0.0007, in_both=5, odds=0.1),
    "digits": _Measured(near=0.99, real_share=0.005, in_both=0, odds=0.5),
}
_SAMPLED = 10_000  # images looked up among the training images: a share needs no more
_CLOSER = 0.002  # a near-copy of a test image is blamed only if every training image is further away by this
_STORED = 0.995  # correlation with a training image that is no chance
_TOLERATED = 0.01  # share of near-copies of training images beyond twice what real images show
_SHOWN = 8  # pairs that the report shows
_SURE = 4.0  # standard deviations above what innocence explains


def audit_leakage(images: ImageSet, challenge: Challenge, train: ImageSet | None, test: ImageSet | None) -> Audit:
    """Look for copies of real images, mirrored, brightened or as they are.

    Near-copies of test images fail the audit, unless training images explain them: CIFAR-100 has ten images in both
    splits, and more that look alike. Near-copies of training images beyond twice the share that real images show among
    themselves are a warning and put the submission in a league of its own. What was not looked for has not been
    passed: without both splits it is a warning at least.

    Args:
        train, test: the real splits, None where they are not at hand; the sentence says what was not looked for.

    Numbers: `test_copies` (blamed), `test_exact` (of these, in every pixel), `known_duplicates` (copies of images in
    both splits), `train_share`, `real_share`, `league` (`generating` or `copying`); and to look at, positions of the
    `closest` images and of the training images they are closest to (`closest_training`), and of test copies
    (`copied`, `copied_test`). Absent where not looked for.
    """
    measured = _MEASURED[challenge.name]
    training = ReferenceSet(train.images) if train is not None else None
    numbers: dict[str, Number] = {"real_share": measured.real_share}
    status: Status = "pass" if train is not None and test is not None else "warn"
    if training is None:
        by_chance, told_train = 0.0, "training images were not at hand"
    else:
        close, pairs = _closest_training_images(images, training)
        near = close >= measured.near
        share, by_chance = float(near.mean()), float((near & (close < _STORED)).mean())
        copying = _beyond(int(near.sum()), (2 * measured.real_share + _TOLERATED) * len(near))
        numbers |= {"train_share": share, "league": "copying" if copying else "generating"}
        numbers |= {"closest": pairs.images, "closest_training": pairs.references}
        status = "warn" if copying else status
        told_train = f"{share:.1%} are near-copies of training images (real images: {measured.real_share:.1%})"
    if test is None:
        told_test = "test images were not at hand"
    else:
        copies = _copies_of_test(images, training, ReferenceSet(test.images), measured)
        numbers |= {"test_copies": copies.blamed, "test_exact": copies.exact, "known_duplicates": copies.known}
        numbers |= {"copied": copies.pairs.images, "copied_test": copies.pairs.references}
        if train is None:
            allowed = _Allowed(2 * measured.real_share, measured.in_both)
        else:
            allowed = _Allowed(max(by_chance * len(test) / len(train), measured.real_share * measured.odds), 0)
        if copies.exact > allowed.exact or _beyond(copies.blamed, allowed.share * len(images)):
            status = "fail"
        told_test = (
            f"{copies.blamed:,} of {len(images):,} images are copies of test images ({copies.exact:,} in every pixel)"
        )
    return Audit("leakage", status, f"{told_test}; {told_train}", numbers)


@dataclass(frozen=True)
class _Allowed:
    """What an innocent generator comes to: the share of its images near a test image, and exact copies.

    With training images at hand, it comes near test images as often as it comes near as many training images without
    storing them, and no less often than new real images do. Without, what is in both splits or looks alike cannot be
    told from a leak and is allowed.
    """

    share: float
    exact: int


@dataclass(frozen=True)
class _Pairs:
    """The closest pairs, the closest first: positions of images and of the real images beside them."""

    images: list[int]
    references: list[int]

    @classmethod
    def closest(cls, positions: NDArray[np.int64], found: Nearest) -> _Pairs:
        """The first pairs of `positions[i]` with `found`'s i-th."""
        first = np.argsort(-found.correlation, kind="stable")[:_SHOWN]
        return cls(positions[first].tolist(), found.index[first].tolist())


@dataclass(frozen=True)
class _TestCopies:
    """Near-copies of test images that no training image explains, those of them exact, copies of what is in both."""

    blamed: int
    exact: int
    known: int
    pairs: _Pairs


def _closest_training_images(images: ImageSet, training: ReferenceSet) -> tuple[NDArray[np.float32], _Pairs]:
    """How close a sample of the images is to the training images, float32 (up to _SAMPLED,), and the closest pairs."""
    sample = np.arange(len(images))
    if len(images) > _SAMPLED:
        sample = np.sort(np.random.default_rng(0).choice(len(images), _SAMPLED, replace=False))
    found = training.nearest(images.images[sample])
    return found.correlation, _Pairs.closest(sample, found)


def _copies_of_test(
    images: ImageSet, training: ReferenceSet | None, tests: ReferenceSet, measured: _Measured
) -> _TestCopies:
    found = tests.nearest(images.images)
    suspects = np.flatnonzero(found.correlation >= measured.near)  # plain pictures correlate with nothing
    blamed, known = np.ones(len(suspects), bool), np.zeros(len(suspects), bool)
    exact = found.exact[suspects]
    if training is not None and len(suspects):
        explained = training.nearest(images.images[suspects])
        known = exact & explained.exact
        blamed = ~explained.exact & (explained.correlation < found.correlation[suspects] - _CLOSER) | (exact & ~known)
    guilty = suspects[blamed]
    pairs = _Pairs.closest(guilty, found.take(guilty))
    return _TestCopies(int(blamed.sum()), int((blamed & exact).sum()), int(known.sum()), pairs)


def _beyond(found: int, innocent: float) -> bool:
    """Whether `found` is surely more than the number that innocence leads to expect."""
    return found > innocent + _SURE * innocent**0.5 + 1
