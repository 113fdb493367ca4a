"""Seconds of a batch: as measured, on the lines between what was, and beyond it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.planning.batch_times import batch_seconds
from tests.harness.profiles import point, profile

FIXED, EACH = st.floats(0.0, 2.0), st.floats(0.001, 0.5)


@given(fixed=FIXED, each=EACH, per_image=st.floats(0.0, 0.05), steps=st.integers(1, 100), size=st.integers(1, 64))
def test_what_was_not_measured_lies_on_the_line(
    fixed: float, each: float, per_image: float, steps: int, size: int
) -> None:
    def batch_s(k: int, n: int) -> float:
        return (fixed + each * k) * (1 + per_image * n)

    found = profile(batch_s, [(8, 1), (8, 16), (8, 64), (4, 64), (20, 64)])
    assert batch_seconds(found, steps, size).middle == pytest.approx(batch_s(steps, size), rel=1e-6)


def test_decoding_is_not_thought_to_grow_with_steps() -> None:
    measured = profile(
        lambda k, n: 0.1 * k, [], points=(point(2, 8, 0.2, decode_s=1.0), point(4, 8, 0.4, decode_s=1.0))
    )
    assert batch_seconds(measured, 40, 8).middle == pytest.approx(5.0)


def test_batches_larger_than_were_measured_take_in_proportion_and_are_less_certain() -> None:
    measured = profile(lambda _k, n: 0.5 + 0.01 * n, [(8, 16), (8, 64)])
    found = batch_seconds(measured, 8, 256)
    assert found == pytest.approx((0.85 * 4 * 1.14, 4 * 1.14, 1.15 * 4 * 1.14))
