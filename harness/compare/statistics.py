"""Differences of accuracies with interval and p-value, non-inferiority and its power, where variance comes from."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import hypot, sqrt
from statistics import fmean, stdev, variance

from scipy.stats import f_oneway, nct, t

LEVEL = 0.95  # of every two-sided interval
NONE = 1e-9  # less than any spread of accuracies, more than rounding makes of equal ones
MOST_ROUNDS = 1000  # up to which a number of rounds is looked for


@dataclass(frozen=True)
class Difference:
    """The mean of B minus the mean of A, fractions.

    Attributes:
        estimate: negative where B is worse.
        error: standard error; None where a side has one value only, or there is no spread to measure it by.
        freedom: degrees of freedom of the error.
        paired: whether values of the same seeds were subtracted from each other.
        identical: every pair of values is equal.
        n: values of A and of B.
    """

    estimate: float
    error: float | None
    freedom: float
    paired: bool
    identical: bool
    n: tuple[int, int]

    @property
    def ci95(self) -> tuple[float, float] | None:
        """By Student's t, two-sided."""
        if self.error is None:
            return None
        reach = float(t.ppf((1 + LEVEL) / 2, self.freedom)) * self.error
        return self.estimate - reach, self.estimate + reach

    @property
    def p(self) -> float | None:
        """Of no difference, two-sided."""
        if self.error is None:
            return None
        return 1.0 if self.identical else float(2 * t.sf(abs(self.estimate) / self.error, self.freedom))

    def p_not_below(self, bound: float) -> float | None:
        """One-sided p-value of the hypothesis that the true difference is at least `bound`: small where it is below."""
        if self.error is None:
            return None
        if self.identical:
            return 0.0 if bound > 0 else 1.0
        return float(t.cdf((self.estimate - bound) / self.error, self.freedom))


def difference(a: Mapping[Hashable, float], b: Mapping[Hashable, float]) -> Difference:
    """B minus A: paired where both have values of the same seeds, else by Welch's test.

    Args:
        a, b: values by seed, at least one each.
    """
    of_a, of_b = list(a.values()), list(b.values())
    n, estimate = (len(of_a), len(of_b)), fmean(of_b) - fmean(of_a)
    if a.keys() == b.keys() and len(a) > 1:
        each = [b[seed] - a[seed] for seed in a]
        if max(map(abs, each)) < NONE:
            return Difference(0.0, 0.0, n[0] - 1, True, True, n)
        if (spread := stdev(each)) > NONE:
            return Difference(estimate, spread / sqrt(len(each)), len(each) - 1, True, False, n)
    if min(n) < 2:
        return Difference(estimate, None, 0, False, False, n)
    parts = [variance(values) / len(values) for values in (of_a, of_b)]
    error = sqrt(sum(parts))
    if error < NONE:  # all values of each side are equal: nothing to judge their difference by
        return Difference(estimate, None, 0, False, False, n)
    freedom = error**4 / sum(part**2 / (count - 1) for part, count in zip(parts, n, strict=True))
    return Difference(estimate, error, freedom, False, False, n)


def spread_of(a: Mapping[Hashable, float], b: Mapping[Hashable, float]) -> float | None:
    """The standard deviation of a difference of two single values; None where there are too few to tell."""
    if a.keys() == b.keys() and len(a) > 1:
        return stdev([b[seed] - a[seed] for seed in a])
    spreads = [stdev(values) for values in (list(a.values()), list(b.values())) if len(values) > 1]
    if not spreads:
        return None
    return hypot(*spreads) if len(spreads) > 1 else sqrt(2) * spreads[0]


def power(rounds: int, spread: float, margin: float, alpha: float, paired: bool) -> float:
    """The probability that so many rounds on each side show that B, which equals A, is not worse by `margin`.

    Args:
        spread: standard deviation of a difference of two rounds, above 0.
        margin: a fraction above 0.
        alpha: of the one-sided test.
    """
    freedom = rounds - 1 if paired else 2 * (rounds - 1)
    return float(nct.sf(t.ppf(1 - alpha, freedom), freedom, margin * sqrt(rounds) / spread))


def rounds_needed(spread: float, margin: float, alpha: float, wanted: float, paired: bool) -> int | None:
    """The fewest rounds on each side with a power of at least `wanted`; None where `MOST_ROUNDS` are too few."""
    if spread < NONE:
        return 2
    low, high = 2, MOST_ROUNDS
    if power(high, spread, margin, alpha, paired) < wanted:
        return None
    while low < high:  # power grows with the rounds
        middle = (low + high) // 2
        if power(middle, spread, margin, alpha, paired) >= wanted:
            high = middle
        else:
            low = middle + 1
    return low


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected for their number by Holm's method, in the same order."""
    corrected, least = [1.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = least
    return corrected


@dataclass(frozen=True)
class Components:
    """Where the variance of a generator's accuracy comes from: standard deviations, fractions.

    Attributes:
        between_images: between sets of images of different generator seeds, the judge's part taken out.
        within_images: between rounds of the judge on the same images.
        p: of the hypothesis that all sets of images are worth the same.
    """

    between_images: float
    within_images: float
    p: float


def variance_components(rounds_of_seed: Sequence[Sequence[float]]) -> Components | None:
    """Rounds nested in generator seeds: one-way random-effects analysis of variance.

    Args:
        rounds_of_seed: the accuracies of each generator seed's rounds.

    Returns:
        None for fewer than two seeds, fewer than two rounds of each, or rounds without any spread.
    """
    sizes = [len(rounds) for rounds in rounds_of_seed]
    if len(sizes) < 2 or min(sizes) < 2:
        return None
    total = sum(sizes)
    within = sum(variance(rounds) * (len(rounds) - 1) for rounds in rounds_of_seed) / (total - len(sizes))
    if within < NONE**2:
        return None
    f, p = f_oneway(*rounds_of_seed)
    usual_size = (total - sum(size**2 for size in sizes) / total) / (len(sizes) - 1)
    between = max(0.0, (float(f) - 1) * within / usual_size)
    return Components(sqrt(between), sqrt(within), float(p))
