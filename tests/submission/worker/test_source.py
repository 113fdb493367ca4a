"""The order of a job's images."""

from __future__ import annotations

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from submission.worker.source import interleaved


@given(classes=st.integers(1, 50), cut=st.integers(0, 500))
def test_a_cut_leaves_classes_within_one_image(classes: int, cut: int) -> None:
    counts = [0] * classes
    for label, index in islice(interleaved(classes, None), cut):
        assert index == counts[label]
        counts[label] += 1
    assert max(counts) - min(counts) <= 1


def test_it_stops_at_the_cap() -> None:
    assert list(interleaved(2, 2)) == [(0, 0), (1, 0), (0, 1), (1, 1)]
