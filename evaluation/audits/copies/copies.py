"""Which images of a set are copies of real ones, as they are or changed, and which of these nothing else explains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.audits.matching.alignment import AlignedSet
from evaluation.audits.matching.nearest import Nearest, ReferenceSet

STORED = 0.995  # correlation with a real image that is no chance
ROUNDED = 0.9995  # that only rounding leaves; no two different images of the real splits are as close
_SAMPLED = 10_000  # images looked up at most where a share is wanted, or where looking takes long
_TURNED_SAMPLED = 2_500  # and where both
_CLOSER = 0.002  # a near-copy of a test image is blamed only if every training image is further away by this
_TURNED_CLOSER = 0.02  # and this for changed copies, whose correlations are less exact
_SHOWN = 8  # pairs that the report shows
_LISTED = 50  # known duplicates that are listed


class RealSet:
    """A real split to search in: its pictures as they are and, unless `turned` is off, changed ones.

    Args:
        images: uint8 (M, 3, H, W), H and W multiples of 32.
    """

    def __init__(self, images: NDArray[np.uint8], turned: bool) -> None:
        self.straight = ReferenceSet(images)
        self._aligned = AlignedSet(images) if turned else None

    def turned(self, images: NDArray[np.uint8]) -> Nearest:
        """The likeliest origin of changed pictures, as `AlignedSet.nearest`; all 0 where it is off."""
        if self._aligned is None:
            return Nearest.none(len(images))
        return self._aligned.nearest(images)


@dataclass(frozen=True)
class Pairs:
    """Positions of images and of the real images beside them, the closest first."""

    images: list[int]
    references: list[int]

    @classmethod
    def closest(cls, positions: NDArray[np.int64], found: Nearest, count: int = _SHOWN) -> Pairs:
        """The first pairs of `positions[i]` with `found`'s i-th."""
        first = np.argsort(-found.correlation, kind="stable")[:count]
        return cls(positions[first].tolist(), found.index[first].tolist())

    def before(self, other: Pairs) -> Pairs:
        """These and then the others, as many as are shown."""
        return Pairs((self.images + other.images)[:_SHOWN], (self.references + other.references)[:_SHOWN])


@dataclass(frozen=True)
class TrainingCopies:
    """What is like training images among up to 10,000 of the images, after changes among up to 2,500.

    Attributes:
        looked: how many images were looked at.
        near: near-copies.
        unstored: these without stored ones, which are closer than chance would have it.
        turned_looked: at how many again for changed copies.
        turned: those that are copies only after a change.
        pairs: the closest.
    """

    looked: int
    near: int
    unstored: int
    turned_looked: int
    turned: int
    pairs: Pairs


@dataclass(frozen=True)
class TestCopies:
    """What is like test images and not explained by training images.

    Attributes:
        near: near-copies.
        stored: of these, those that are the same but for rounding.
        exact: of these, those that agree in every pixel.
        turned: copies only after a change, among up to 10,000 images.
        looked: among how many these were looked for.
        pairs: the closest near-copies, then the closest changed ones.
        known: how many are, pixel by pixel, images that both splits hold.
        known_pairs: the first of these.
    """

    near: int
    stored: int
    exact: int
    turned: int
    looked: int
    pairs: Pairs
    known: int
    known_pairs: Pairs


def training_copies(images: NDArray[np.uint8], training: RealSet, near: float, turned: float) -> TrainingCopies:
    """Count copies of training images.

    Args:
        images: uint8 (N, 3, H, W).
        near, turned: correlations from which two pictures are copies, as they are and changed.
    """
    sample = _sample(len(images))
    found = training.straight.nearest(images[sample])
    is_near = found.correlation >= near
    again = _sample(len(sample), _TURNED_SAMPLED)
    changed = training.turned(images[sample[again]])
    return TrainingCopies(
        looked=len(sample),
        near=int(is_near.sum()),
        unstored=int((is_near & (found.correlation < STORED)).sum()),
        turned_looked=len(again),
        turned=int((~is_near[again] & (changed.correlation >= turned)).sum()),
        pairs=Pairs.closest(sample, found),
    )


def test_copies(
    images: NDArray[np.uint8], training: RealSet | None, tests: RealSet, near: float, turned: float
) -> TestCopies:
    """Count copies of test images that no training image explains: arguments as above, `training` if at hand."""
    found = tests.straight.nearest(images)
    suspects = np.flatnonzero(found.correlation >= near)  # plain pictures correlate with nothing
    blamed, known = np.ones(len(suspects), bool), np.zeros(len(suspects), bool)
    exact = found.exact[suspects]
    if training is not None and len(suspects):
        explained = training.straight.nearest(images[suspects])
        known = exact & explained.exact
        blamed = ~explained.exact & (explained.correlation < found.correlation[suspects] - _CLOSER) | (exact & ~known)
    guilty = suspects[blamed]
    sample = _sample(len(images))
    changed, altered = _turned_copies(images, np.setdiff1d(sample, suspects), training, tests, turned)
    both = suspects[known]
    return TestCopies(
        near=len(guilty),
        stored=int((found.exact[guilty] | (found.correlation[guilty] >= ROUNDED)).sum()),
        exact=int((blamed & exact).sum()),
        turned=len(changed),
        looked=len(sample),
        pairs=Pairs.closest(guilty, found.take(guilty)).before(Pairs.closest(changed, altered)),
        known=len(both),
        known_pairs=Pairs.closest(both, found.take(both), _LISTED),
    )


def _turned_copies(
    images: NDArray[np.uint8], positions: NDArray[np.int64], training: RealSet | None, tests: RealSet, turned: float
) -> tuple[NDArray[np.int64], Nearest]:
    """Which of `positions` hold changed copies of test images, and of which."""
    found = tests.turned(images[positions])
    suspects = np.flatnonzero(found.correlation >= turned)
    if training is not None and len(suspects):
        explained = training.turned(images[positions[suspects]])
        suspects = suspects[explained.correlation < found.correlation[suspects] - _TURNED_CLOSER]
    return positions[suspects], found.take(suspects)


def _sample(count: int, most: int = _SAMPLED) -> NDArray[np.int64]:
    """All positions, or enough of them, in order."""
    return np.arange(count) if count <= most else np.sort(np.random.default_rng(0).choice(count, most, replace=False))
