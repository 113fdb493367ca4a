"""What the audits point at, to look at: pairs of pictures, and which real class each stored class looks like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.base.images import ImageSet
from harness.records.record import AuditPart
from harness.report.pictures import picture_uri


@dataclass(frozen=True)
class Pairs:
    """Two strips of as many pictures, one below the other, as data URIs.

    Attributes:
        title: what the pairs are.
        below: what stands in the lower strip; in the upper one it is what was generated.
        real: whether the lower strip shows real images.
        upper, lower: the strips.
        count: pictures in a strip.
    """

    title: str
    below: str
    real: bool
    upper: str
    lower: str
    count: int


def pairs_of(
    audits: Sequence[AuditPart], generated: ImageSet, train: ImageSet | None, test: ImageSet | None
) -> list[Pairs]:
    """Copies of test images, closest training images and repeats, as far as the audits name any.

    Args:
        generated: the run's images, in the order that the audits counted them in.
        train, test: the real splits; what needs one that is None is left out.
    """
    numbers = {name: value for audit in audits for name, value in audit.numbers.items()}
    wanted = (
        ("Copies of test images", "the real test image", "copied", "copied_test", test),
        ("The closest to training images", "the real training image", "closest", "closest_training", train),
        ("Repeated images", "what it repeats", "repeats", "repeated", generated),
    )
    found = []
    for title, below, ours, theirs, others in wanted:
        if others is not None and numbers.get(ours):
            upper, lower = _strip(generated, numbers[ours]), _strip(others, numbers[theirs])
            found.append(Pairs(title, below, others is not generated, upper, lower, len(numbers[ours])))
    return found


def _strip(images: ImageSet, positions: Sequence[int]) -> str:
    return picture_uri(np.concatenate(images.images[list(positions)].transpose(0, 2, 3, 1), axis=1))
