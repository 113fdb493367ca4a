import pytest
from hypothesis import given
from hypothesis import strategies as st

from submission.worker.batch_size import best_size, size_after_trials, worth_doubling


def trials(fixed: float, each: float, knee: int = 10**9) -> list[tuple[int, float]]:
    """Double until it is not worth it; a batch takes fixed + each * images, and beyond the knee twice the images."""
    tried: list[tuple[int, float]] = []
    size = 1
    while worth_doubling(tried):
        tried.append((size, fixed + each * size + (each * (size - knee) if size > knee else 0.0)))
        size *= 2
    return tried


@given(fixed=st.floats(0.0, 1.0), each=st.floats(0.001, 0.1))
def test_doubling_stops_within_a_few_hundredths_of_the_best_rate(fixed: float, each: float) -> None:
    tried = trials(fixed, each)
    images, seconds = tried[-1]
    assert images / seconds >= (1 / each) * (1 - 0.07)


def test_where_larger_is_slower_the_fastest_is_taken() -> None:
    tried = trials(0.1, 0.01, knee=32)
    assert best_size(tried) in (32, 64)
    assert tried[-1][0] > best_size(tried)


def test_one_unlucky_trial_does_not_end_the_doubling() -> None:
    assert worth_doubling([(8, 1.0), (16, 2.5)])
    assert worth_doubling([(8, 1.0), (16, 2.5), (32, 2.6)])
    assert not worth_doubling([(8, 1.0), (16, 2.0), (32, 4.0)])


def test_a_trial_without_an_end_falls_back_on_the_generators_own_size() -> None:
    assert size_after_trials([(8, 1.0), (16, 1.5)], default=100, cut_short=True) == 100
    assert size_after_trials([(8, 1.0), (16, 1.5)], default=10, cut_short=True) == 16
    assert size_after_trials([(8, 1.0), (16, 1.5)], default=100, cut_short=False) == 16
    assert size_after_trials([], default=100, cut_short=False) == 100


def test_nothing_tried_has_no_best() -> None:
    with pytest.raises(ValueError):
        best_size([])
