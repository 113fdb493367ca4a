"""Which images are copies of real ones, unchanged or altered, and which of these have no innocent explanation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.audits.matching.alignment import AlignedSet
from evaluation.audits.matching.nearest import Nearest, ReferenceSet

STORED = 0.995  # correlation with a real image that is no coincidence
ROUNDED = 0.9995  # that only rounding leaves; no two different images of the real splits are as close
_SAMPLE = 10_000  # images searched at most for a fraction, or where the search is slow
_SLOW_SAMPLE = 2_500  # and for both
_CLOSER = 0.002  # a near-copy of a test image counts only if every training image is further away by this
_ALTERED_CLOSER = 0.02  # and this for altered copies, whose correlations are less exact
_SHOWN = 8  # pairs that the report shows
_LISTED = 50  # known duplicates that are listed


class RealSet:
    """A real split to search for unchanged images and, if `altered`, for altered ones.

    Args:
        images: uint8 (M, 3, H, W), H and W multiples of 32.
    """

    def __init__(self, images: NDArray[np.uint8], altered: bool) -> None:
        self.unchanged = ReferenceSet(images)
        self._aligned = AlignedSet(images) if altered else None

    def altered(self, images: NDArray[np.uint8]) -> Nearest:
        """The most likely original of altered images, as `AlignedSet.nearest`; all 0 if those are not searched for."""
        return Nearest.none(len(images)) if self._aligned is None else self._aligned.nearest(images)


@dataclass(frozen=True)
class Pairs:
    """Positions of images and of the real images that they match, the closest first."""

    images: list[int]
    references: list[int]

    @classmethod
    def closest(cls, positions: NDArray[np.int64], found: Nearest, count: int = _SHOWN) -> Pairs:
        """The closest pairs of `positions[i]` and the i-th of `found`."""
        first = np.argsort(-found.correlation, kind="stable")[:count]
        return cls(positions[first].tolist(), found.index[first].tolist())

    def before(self, other: Pairs) -> Pairs:
        """These, then the others, as many as are shown."""
        return Pairs((self.images + other.images)[:_SHOWN], (self.references + other.references)[:_SHOWN])


@dataclass(frozen=True)
class TrainingCopies:
    """Copies of training images among `sampled` images (at most 10,000), altered ones among `altered_sampled` (2,500).

    Attributes:
        near: near-copies.
        unstored: near-copies that are not so close that they must have been stored.
        altered: copies only after an alteration.
        pairs: the closest.
    """

    sampled: int
    near: int
    unstored: int
    altered_sampled: int
    altered: int
    pairs: Pairs


@dataclass(frozen=True)
class TestCopies:
    """Copies of test images that training images do not explain.

    Attributes:
        near: near-copies.
        stored: of these, identical up to rounding.
        exact: of these, identical in every pixel.
        altered: copies only after an alteration, among a sample of up to 10,000 images.
        sampled: size of that sample.
        pairs: the closest near-copies, then the closest altered ones.
        known: images that are, pixel by pixel, in both real splits.
        known_pairs: the first of these.
    """

    near: int
    stored: int
    exact: int
    altered: int
    sampled: int
    pairs: Pairs
    known: int
    known_pairs: Pairs


def training_copies(images: NDArray[np.uint8], train: RealSet, near: float, altered: float) -> TrainingCopies:
    """Count `images` uint8 (N, 3, H, W) that correlate with training ones by `near`, or if altered by `altered`."""
    sample = _sample(len(images), _SAMPLE)
    found = train.unchanged.nearest(images[sample])
    is_near = found.correlation >= near
    subsample = _sample(len(sample), _SLOW_SAMPLE)
    found_altered = train.altered(images[sample[subsample]])
    return TrainingCopies(
        sampled=len(sample),
        near=int(is_near.sum()),
        unstored=int((is_near & (found.correlation < STORED)).sum()),
        altered_sampled=len(subsample),
        altered=int((~is_near[subsample] & (found_altered.correlation >= altered)).sum()),
        pairs=Pairs.closest(sample, found),
    )


def test_copies(
    images: NDArray[np.uint8], train: RealSet | None, test: RealSet, near: float, altered: float
) -> TestCopies:
    """Count copies of test images that no training image explains, if available; arguments as above."""
    found = test.unchanged.nearest(images)
    suspects = np.flatnonzero(found.correlation >= near)  # plain images correlate with nothing
    exact, leaked, known = found.exact[suspects], np.ones(len(suspects), bool), np.zeros(len(suspects), bool)
    if train is not None and len(suspects):
        explained = train.unchanged.nearest(images[suspects])
        known = exact & explained.exact
        leaked = ~explained.exact & (explained.correlation < found.correlation[suspects] - _CLOSER) | (exact & ~known)
    near_copies, in_both = suspects[leaked], suspects[known]
    sample = _sample(len(images), _SAMPLE)
    altered_copies, found_altered = _altered_copies(images, np.setdiff1d(sample, suspects), train, test, altered)
    return TestCopies(
        near=len(near_copies),
        stored=int((found.exact[near_copies] | (found.correlation[near_copies] >= ROUNDED)).sum()),
        exact=int((leaked & exact).sum()),
        altered=len(altered_copies),
        sampled=len(sample),
        pairs=Pairs.closest(near_copies, found.take(near_copies)).before(Pairs.closest(altered_copies, found_altered)),
        known=len(in_both),
        known_pairs=Pairs.closest(in_both, found.take(in_both), _LISTED),
    )


def _altered_copies(
    images: NDArray[np.uint8], positions: NDArray[np.int64], train: RealSet | None, test: RealSet, altered: float
) -> tuple[NDArray[np.int64], Nearest]:
    """Which of `positions` hold altered copies of test images, and of which."""
    found = test.altered(images[positions])
    suspects = np.flatnonzero(found.correlation >= altered)
    if train is not None and len(suspects):
        explained = train.altered(images[positions[suspects]])
        suspects = suspects[explained.correlation < found.correlation[suspects] - _ALTERED_CLOSER]
    return positions[suspects], found.take(suspects)


def _sample(count: int, most: int) -> NDArray[np.int64]:
    """All positions, or `most` of them, in order."""
    return np.arange(count) if count <= most else np.sort(np.random.default_rng(0).choice(count, most, replace=False))
