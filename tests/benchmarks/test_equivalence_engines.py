"""Two one-sided tests against what they must say."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.equivalence_engines import two_one_sided_tests


def test_p_value_against_a_library() -> None:
    from scipy.stats import ttest_1samp

    differences = list(np.random.default_rng(0).normal(0.001, 0.004, 9))
    found = two_one_sided_tests(differences)
    above = ttest_1samp(differences, -0.005, alternative="greater").pvalue
    below = ttest_1samp(differences, 0.005, alternative="less").pvalue
    assert found.p == pytest.approx(max(above, below))
    assert found.interval90 == pytest.approx(tuple(ttest_1samp(differences, 0).confidence_interval(0.90)))


def test_equivalent_just_when_the_interval_is_inside_the_margin() -> None:
    generator = np.random.default_rng(1)
    outcomes = set()
    for _ in range(200):
        found = two_one_sided_tests(list(generator.normal(generator.uniform(-0.006, 0.006), 0.004, 6)))
        low, high = found.interval90
        assert found.equivalent == (max(-low, high) < 0.005)
        outcomes.add(found.equivalent)
    assert outcomes == {True, False}


def test_a_real_difference_or_too_little_evidence_is_not_equivalence() -> None:
    assert not two_one_sided_tests([0.02, 0.021, 0.019, 0.02]).equivalent
    assert not two_one_sided_tests([0.03, -0.03]).equivalent
    assert two_one_sided_tests([0.0, 0.0, 0.0]).equivalent
    with pytest.raises(ValueError, match="at least 2 pairs"):
        two_one_sided_tests([0.0])
