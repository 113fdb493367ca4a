"""The benchmark of the convolutions times what it says, against the right answer."""

from __future__ import annotations

import pytest

from benchmarks.kernels.convolutions import measure
from evaluation.judge.cpp_kernels.winograd import build_winograd


def test_both_ways_compute_the_same() -> None:
    winograd = build_winograd()
    if winograd is None:
        pytest.skip("there is no C++ compiler here")
    rows = measure(winograd, images=2, side=8, turns=1)
    assert [row.operation for row in rows] == ["forward", "input gradient", "weight gradient"]
    assert all(0 < error < 1e-5 for row in rows for error in row.error.values())
    assert all(rate > 0 for row in rows for rate in row.gflop_per_s.values())
