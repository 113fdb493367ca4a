"""The speed of a disk is that of whole rounds, whatever makes it slow and whenever one begins to look."""

from __future__ import annotations

import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st

from submission.worker.disk_speed import DiskSpeed

THREADS = st.sampled_from([1, 2, 4, 8, 16, 64])


def ends(threads_before: int, threads: int, files: int, file_s: float, since: float, at_once: bool) -> list[float]:
    """When files are done after `since`, at which the threads that write became more.

    `at_once`: each waits for its own answer; else the disk takes one file after another.
    """
    free = [0.0] * threads_before
    disk_free, found, added = 0.0, [], False
    while len(found) < files:
        began = heapq.heappop(free)
        if not added and began >= since:
            for _ in range(threads - threads_before):
                heapq.heappush(free, since)
            heapq.heappush(free, began)
            added = True
            continue
        end = began + file_s if at_once else max(began, disk_free) + file_s
        disk_free = end
        heapq.heappush(free, end)
        if end > since:
            found.append(end)
    return sorted(found)


@given(THREADS, THREADS, st.floats(0.01, 1.0), st.floats(0.0, 5.0), st.booleans(), st.integers(0, 100))
def test_neither_the_phase_nor_a_cut_burst_flatters_the_disk(
    before: int, threads: int, file_s: float, since: float, at_once: bool, more: int
) -> None:
    before = min(before, threads)
    speed = DiskSpeed(threads)
    for end in ends(before, threads, 2 * threads + 1 + more, file_s, since, at_once):
        speed.observe(end)
    assert speed.settled
    truth = file_s / threads if at_once else file_s
    assert speed.each_s == pytest.approx(truth, rel=1e-6)


def test_two_rounds_are_needed_and_more_threads_begin_anew() -> None:
    speed = DiskSpeed(2)
    for end in (1.0, 2.0, 3.0, 4.0):
        assert not speed.settled
        speed.observe(end)
    assert not speed.settled
    speed.observe(5.0)
    assert speed.settled and speed.each_s == 1.0
    speed.restart(4)
    assert not speed.settled
