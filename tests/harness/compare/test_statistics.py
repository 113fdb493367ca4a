"""Differences against scipy's own tests, power by simulation, variances of a simulated experiment."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from harness.compare.statistics import (
    difference,
    holm,
    power,
    rounds_needed,
    spread_of,
    variance_components,
)

A = {0: 0.71, 1: 0.74, 2: 0.69, 3: 0.75}
B = {0: 0.73, 1: 0.75, 2: 0.72, 3: 0.755}


def test_the_same_seeds_are_paired() -> None:
    found = difference(A, B)
    known = stats.ttest_rel(list(B.values()), list(A.values()))
    low, high = known.confidence_interval(0.95)
    assert found.paired and found.n == (4, 4)
    assert found.p == pytest.approx(known.pvalue) and found.ci95 == pytest.approx((low, high))
    assert found.estimate == pytest.approx(np.mean(list(B.values())) - np.mean(list(A.values())))


def test_other_seeds_are_not_paired() -> None:
    others = {seed + 1: value for seed, value in B.items()}
    found = difference(A, others)
    known = stats.ttest_ind(list(B.values()), list(A.values()), equal_var=False)
    assert not found.paired
    assert found.p == pytest.approx(known.pvalue)
    assert found.ci95 == pytest.approx(tuple(known.confidence_interval(0.95)))


def test_the_one_sided_test_is_scipys() -> None:
    known = stats.ttest_rel(list(B.values()), list(A.values()), alternative="less")
    assert difference(A, B).p_not_below(0.0) == pytest.approx(known.pvalue)
    shifted = stats.ttest_rel([value + 0.02 for value in B.values()], list(A.values()), alternative="greater")
    assert 1 - difference(A, B).p_not_below(-0.02) == pytest.approx(shifted.pvalue)


def test_without_spread_nothing_is_claimed() -> None:
    assert difference({0: 0.7}, {0: 0.6}).ci95 is None and difference({0: 0.7}, {0: 0.6}).p is None
    assert difference({0: 0.7, 1: 0.7}, {0: 0.6, 1: 0.6}).p is None  # two equal pairs can be chance
    same_drop = difference({0: 0.7, 1: 0.8}, {0: 0.6, 1: 0.7})
    assert not same_drop.paired and same_drop.ci95 is not None and same_drop.ci95[1] > 0


def test_equal_rounds_are_no_difference() -> None:
    found = difference(A, dict(A))
    assert found.identical and found.p == 1.0 and found.ci95 == (0.0, 0.0)
    assert found.p_not_below(-0.01) == 1.0 and found.p_not_below(0.01) == 0.0


@pytest.mark.parametrize("paired", [True, False])
def test_power_is_how_often_it_works(paired: bool) -> None:
    draw, rounds, margin, alpha = np.random.default_rng(0), 5, 0.03, 0.05
    shown = 0
    for _ in range(2000):
        a, b = draw.normal(0.8, 0.015, (2, rounds))
        of_b = dict(enumerate(b)) if paired else dict(enumerate(b, start=100))
        p = difference(dict(enumerate(a)), of_b).p_not_below(-margin)
        assert p is not None
        shown += 1 - p < alpha
    assert shown / 2000 == pytest.approx(power(rounds, 0.015 * 2**0.5, margin, alpha, paired), abs=0.035)


def test_the_rounds_needed_are_the_fewest() -> None:
    needed = rounds_needed(0.02, 0.02, 0.05, 0.8, paired=True)
    assert needed is not None
    assert power(needed, 0.02, 0.02, 0.05, True) >= 0.8 > power(needed - 1, 0.02, 0.02, 0.05, True)
    assert rounds_needed(0.02, 0.04, 0.05, 0.8, paired=True) < needed
    assert rounds_needed(0.5, 0.001, 0.05, 0.8, paired=True) is None
    assert rounds_needed(0.0, 0.01, 0.05, 0.8, paired=True) == 2


def test_the_spread_of_a_difference() -> None:
    assert spread_of(A, B) == pytest.approx(np.std(np.array(list(B.values())) - list(A.values()), ddof=1))
    single = np.std(list(A.values()), ddof=1)
    assert spread_of(A, {9: 0.7}) == pytest.approx(2**0.5 * single)
    assert spread_of({0: 0.7}, {1: 0.7}) is None


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []


def test_variances_of_seeds_and_judge_are_told_apart() -> None:
    draw = np.random.default_rng(1)
    images = draw.normal(0, 0.03, 60)
    rounds = [list(0.5 + mean + draw.normal(0, 0.01, 4)) for mean in images]
    found = variance_components(rounds)
    assert found is not None and found.p < 1e-6
    assert found.between_images == pytest.approx(0.03, rel=0.25)
    assert found.within_images == pytest.approx(0.01, rel=0.15)
    same = variance_components([list(0.5 + draw.normal(0, 0.01, 4)) for _ in range(60)])
    assert same is not None and same.between_images < 0.004 and same.p > 0.01


def test_variances_want_two_of_each() -> None:
    assert variance_components([[0.5, 0.6]]) is None
    assert variance_components([[0.5], [0.6]]) is None
    assert variance_components([[0.5, 0.5], [0.5, 0.5]]) is None
