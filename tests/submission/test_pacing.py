from hypothesis import given
from hypothesis import strategies as st

from submission.pacing import Pacer

seconds = st.floats(0.05, 30.0)


def test_first_batch_is_tried_whole() -> None:
    assert Pacer(deadline=10.0, margin_s=0.1).next_batch(now=0.0, wanted=64, drain_s=0.0) == 64


@given(budget=st.floats(1.0, 60.0), each=seconds, wanted=st.integers(1, 256), drain=st.floats(0.0, 5.0))
def test_a_steady_generator_never_crosses_the_deadline(budget: float, each: float, wanted: int, drain: float) -> None:
    pacer = Pacer(deadline=budget, margin_s=0.1)
    now, batch_s = 0.0, each
    pacer.observe(wanted, batch_s)
    while size := pacer.next_batch(now, wanted, drain):
        now += batch_s  # a smaller batch at the end is no cheaper: the worst case
        pacer.observe(size, batch_s)
        assert now + drain <= budget - 0.1 + 1e-6
    left = budget - 0.1 - drain - now
    assert left < 1.15 * batch_s + 1e-6 or now == 0.0


@given(slow=st.floats(1.0, 10.0))
def test_a_batch_that_slows_down_is_believed_at_once(slow: float) -> None:
    pacer = Pacer(deadline=100.0, margin_s=0.0)
    pacer.observe(10, 1.0)
    pacer.observe(10, slow)
    assert pacer.seconds_for(10) >= slow


def test_no_small_batch_is_tried_where_a_small_one_may_cost_as_much_as_a_full_one() -> None:
    pacer = Pacer(deadline=10.0, margin_s=0.0)
    pacer.observe(64, 4.0)
    assert pacer.next_batch(now=9.0, wanted=64, drain_s=0.0) == 0


def test_a_smaller_batch_fills_the_end_where_small_ones_are_known_to_be_cheap() -> None:
    pacer = Pacer(deadline=10.0, margin_s=0.0)
    pacer.observe(4, 0.2)
    pacer.observe(64, 3.2)
    assert 1 <= pacer.next_batch(now=9.0, wanted=64, drain_s=0.0) < 64
