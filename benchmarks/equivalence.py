"""Two one-sided tests: evidence that a difference is too small to matter, not merely too small to see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev

MARGIN = 0.005
LEVEL = 0.05


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided t-tests on paired differences of accuracies.

    Attributes:
        pairs: how many differences.
        mean_difference: a fraction.
        interval90: of the mean difference; inside the margin just when the tests pass at 5%.
        margin: what counts as equivalent.
        p: the larger of the two p-values.
        equivalent: p below 5%.
    """

    pairs: int
    mean_difference: float
    interval90: tuple[float, float]
    margin: float
    p: float
    equivalent: bool


def two_one_sided_tests(differences: Sequence[float], margin: float = MARGIN) -> Equivalence:
    """Raises ValueError for fewer than two differences."""
    from scipy.stats import t

    if len(differences) < 2:
        raise ValueError(f"two one-sided tests need at least 2 pairs, not {len(differences)}")
    mean, freedom = fmean(differences), len(differences) - 1
    # Differences of whole test images: where all are alike their spread is below what an image counts for, not zero.
    error = max(stdev(differences), 1e-6) / sqrt(len(differences))
    p = float(max(t.sf((margin + mean) / error, freedom), t.sf((margin - mean) / error, freedom)))
    reach = float(t.ppf(1 - LEVEL, freedom)) * error
    return Equivalence(len(differences), mean, (mean - reach, mean + reach), margin, p, p < LEVEL)
