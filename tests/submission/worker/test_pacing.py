"""The pacer under a clock that is only a number."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from submission.worker.pacing import MOST_SAFETY, SAFETY, Pacer, margin_s

seconds = st.floats(0.05, 30.0)
sizes = st.integers(1, 256)
# each batch's own luck; drawn from in turn, and from the start again
luck = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=40)
shares = st.floats(0.0, 1.0)
batch_counts = st.floats(1.0, 60.0)
Cost = Callable[[int, int], float]  # (images, number of the batch) -> seconds


def no_time(_images: int) -> float:
    return 0.0


def simulate(pacer: Pacer, wanted: int, cost: Cost, write_each_s: float = 0.0) -> tuple[float, int]:
    """Make batches until the pacer says stop: the time at which the last is on disk, and how many there were."""
    now, disk_free, number = 0.0, 0.0, 0

    def seconds_to_write(images: int) -> float:
        return write_each_s * images

    while True:
        queued = math.ceil(max(0.0, disk_free - now) / write_each_s) if write_each_s else 0
        size = pacer.next_batch(now, wanted, seconds_to_write, queued)
        if not size:
            return max(now, disk_free), number
        predicted = max(pacer.seconds_for(size), seconds_to_write(queued)) + seconds_to_write(size)
        assert now + predicted <= pacer.deadline - pacer.margin_s + 1e-9, "it was not predicted to fit"
        taken = cost(size, number)
        now += taken
        disk_free = max(disk_free, now) + seconds_to_write(size)
        pacer.observe(size, taken)
        number += 1


def test_the_first_batch_is_tried_whole() -> None:
    assert Pacer(deadline=10.0, margin_s=0.1).next_batch(0.0, 64, no_time) == 64


@given(full=st.floats(0.1, 30.0), batches=batch_counts, fixed=shares, wanted=sizes, luck=luck, write=shares)
def test_batches_within_the_safety_factor_never_cross_the_deadline_and_leave_less_than_one(
    full: float, batches: float, fixed: float, wanted: int, luck: list[float], write: float
) -> None:
    budget = batches * full
    write_each_s = 0.5 * write * full / wanted

    def cost(images: int, number: int) -> float:
        steady = full * (fixed + (1 - fixed) * images / wanted)
        return steady * SAFETY ** luck[number % len(luck)]

    pacer = Pacer(deadline=budget, margin_s=0.005 * budget)
    pacer.expect([(wanted, cost(wanted, 0))])
    ended, made = simulate(pacer, wanted, cost, write_each_s)
    assert ended <= budget - pacer.margin_s + 1e-9
    # what a batch is predicted to take at most, when the slowest that there can be has just been seen
    longest = SAFETY**2 * full + 2 * write_each_s * wanted
    assert budget - ended <= 0.01 * budget + longest or (not made and batches < SAFETY**2 + 1)


@given(full=st.floats(0.1, 30.0), batches=batch_counts, wanted=sizes, growth=luck)
def test_a_card_that_throttles_within_the_safety_factor_from_batch_to_batch_is_followed(
    full: float, batches: float, wanted: int, growth: list[float]
) -> None:
    pace = 1.0

    def cost(images: int, number: int) -> float:
        nonlocal pace
        pace = min(8.0, pace * SAFETY ** growth[number % len(growth)])
        return full * pace * images / wanted

    pacer = Pacer(deadline=batches * full, margin_s=0.0)
    pacer.expect([(wanted, full)])
    ended, _ = simulate(pacer, wanted, cost)
    assert ended <= batches * full + 1e-9


@given(budget=st.floats(1.0, 60.0), wanted=sizes, times=st.lists(st.floats(0.5, 30.0), min_size=1, max_size=30))
def test_whatever_batches_take_none_is_started_that_is_not_predicted_to_fit(
    budget: float, wanted: int, times: list[float]
) -> None:
    pacer = Pacer(deadline=budget, margin_s=0.1)
    pacer.expect([(wanted, times[0])])
    simulate(pacer, wanted, lambda _, number: times[number % len(times)])  # its loop asserts it


@given(
    observed=st.lists(st.tuples(sizes, seconds), min_size=1, max_size=12),
    known=st.lists(st.tuples(sizes, seconds), max_size=4),
)
def test_more_images_are_never_predicted_to_take_less(
    observed: list[tuple[int, float]], known: list[tuple[int, float]]
) -> None:
    pacer = Pacer(deadline=100.0, margin_s=0.0)
    pacer.expect(known)
    for each in observed:
        pacer.observe(*each)
    predicted = [pacer.seconds_for(images) for images in range(1, 300)]
    assert all(later >= earlier * (1 - 1e-9) for earlier, later in pairwise(predicted))
    last_size, last_s = observed[-1]
    assert pacer.seconds_for(last_size) >= SAFETY * last_s * (1 - 1e-9)


@given(slow=st.floats(1.0, 10.0))
def test_a_batch_that_slows_down_is_believed_at_once(slow: float) -> None:
    pacer = Pacer(deadline=100.0, margin_s=0.0)
    pacer.observe(10, 1.0)
    pacer.observe(10, slow)
    assert pacer.seconds_for(10) >= slow


def test_small_batches_slow_down_with_the_large_ones() -> None:
    pacer = Pacer(deadline=1000.0, margin_s=0.0)
    pacer.observe(8, 1.0)
    for _ in range(4):
        pacer.observe(64, 2.0)
    before = pacer.seconds_for(8)
    pacer.observe(64, 4.0)
    assert pacer.seconds_for(8) >= 2 * before


def test_a_surprise_makes_it_careful_for_a_while() -> None:
    pacer = Pacer(deadline=1000.0, margin_s=0.0)
    for _ in range(8):
        pacer.observe(64, 1.0)
    assert pacer.safety == SAFETY
    pacer.observe(64, 3.0)
    assert pacer.safety == MOST_SAFETY
    for _ in range(20):
        pacer.observe(64, 3.0)
    assert pacer.safety == SAFETY


def test_a_machine_that_stalls_gets_a_wider_margin_up_to_a_limit() -> None:
    def fits_until(pacer: Pacer) -> float:
        return max(now / 100 for now in range(1000) if pacer.next_batch(now / 100, 1, no_time))

    pacer = Pacer(deadline=10.0, margin_s=0.1, most_stall_s=0.3)
    for _ in range(3):
        pacer.observe(1, 1.0)
    before = fits_until(pacer)
    pacer.observe(1, 1.25)  # 0.1 more than 1.15
    for _ in range(40):
        pacer.observe(1, 1.0)
    assert fits_until(pacer) == pytest.approx(before - 0.1, abs=0.011)
    pacer.observe(1, 9.0)
    for _ in range(40):
        pacer.observe(1, 1.0)
    assert fits_until(pacer) == pytest.approx(before - 0.3, abs=0.011)


def test_no_small_batch_is_tried_where_a_small_one_may_cost_as_much_as_a_full_one() -> None:
    pacer = Pacer(deadline=10.0, margin_s=0.0)
    pacer.observe(64, 4.0)
    assert pacer.next_batch(9.0, 64, no_time) == 0


def test_a_smaller_batch_fills_the_end_where_small_ones_are_known_to_be_cheap() -> None:
    pacer = Pacer(deadline=10.0, margin_s=0.0)
    pacer.observe(4, 0.2)
    pacer.observe(64, 3.2)
    assert 1 <= pacer.next_batch(9.0, 64, no_time) < 64


def test_a_slow_first_batch_is_not_held_against_the_others() -> None:
    pacer = Pacer(deadline=100.0, margin_s=0.0)
    pacer.expect([(8, 30.0)])
    assert 1 <= pacer.next_batch(30.0, 64, no_time) < 64  # all that is known: up to 3.75 s an image
    pacer.observe(16, 2.0)
    assert pacer.next_batch(32.0, 64, no_time) == 64
    assert pacer.seconds_for(8) <= SAFETY * 2.0


def test_a_batch_that_could_be_made_but_not_written_is_not_made() -> None:
    pacer = Pacer(deadline=10.0, margin_s=0.0)
    pacer.observe(64, 1.0)
    assert pacer.next_batch(0.0, 64, lambda images: 0.2 * images) < 64
    assert pacer.next_batch(0.0, 64, lambda images: 20.0 if images else 0.0) == 0


def test_what_waits_for_the_disk_is_written_while_the_next_batch_is_made() -> None:
    pacer = Pacer(deadline=10.0, margin_s=0.0)
    pacer.observe(64, 5.0)

    def write(images: int) -> float:
        return 0.01 * images

    assert pacer.next_batch(0.0, 64, write, queued=500) == 64
    assert pacer.next_batch(0.0, 64, write, queued=1000) == 0


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1"])
def test_the_margin_is_less_than_a_hundredth_of_the_challenges_budgets(device: str) -> None:
    assert 0.1 < margin_s(60.0, device) < 0.012 * 60.0
    assert margin_s(600.0, device) < 0.01 * 600.0


def test_the_disk_may_turn_out_slower_too() -> None:
    """Both what is written after the batch and what waits for the disk already get the safety factor."""
    pacer = Pacer(deadline=10.0, margin_s=0.0)
    pacer.observe(64, 1.0)
    pacer.observe(1, 1 / 64)
    longest = (10.0 - 1.15) / 1.15  # that the writing of 64 may take after 1.15 s of making them
    assert pacer.next_batch(0.0, 64, lambda images: (longest - 0.01) * images / 64) == 64
    assert pacer.next_batch(0.0, 64, lambda images: (longest + 0.05) * images / 64) < 64
    waiting = 10.0 / 1.15  # seconds that may be left to write while the batch is made, if it is written in no time
    for waiting_s, images in ((waiting - 0.01, 64), (waiting + 0.05, 0)):
        at_once = partial(_seconds_of_the_queue, waiting_s)
        assert pacer.next_batch(0.0, 64, at_once, queued=1000) == images


def _seconds_of_the_queue(waiting_s: float, images: int) -> float:
    return waiting_s if images == 1000 else 0.0
