"""What is taken for the disk's doing: whole rounds of threads, and no waiting for anything else."""

import heapq
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from submission.worker.disk import DiskSpeed, DiskWaits, FileTimes, write_whole

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


@pytest.mark.parametrize(
    ("file", "for_disk"),
    [
        (FileTimes(whole=0.031, processor=0.001, calls=0.030, lock=0.0), True),  # a disk that answers late
        (
            FileTimes(whole=0.031, processor=0.001, calls=0.030, lock=0.007),
            False,
        ),  # four waits for the lock, and little else
        (FileTimes(whole=0.060, processor=0.001, calls=0.050, lock=0.007), True),  # both
        (FileTimes(whole=0.031, processor=0.030, calls=0.030, lock=0.0), False),  # a processor that copies
        (FileTimes(whole=0.090, processor=0.001, calls=0.001, lock=0.0), False),  # encoding waited for a processor
    ],
)
def test_only_what_neither_lock_nor_processor_took_is_the_disks(file: FileTimes, for_disk: bool) -> None:
    waits = DiskWaits()
    assert not waits.seen and not waits.for_disk
    for _ in range(3):
        waits.observe(file)
    assert waits.for_disk is for_disk
    assert waits.answer_s == pytest.approx(file.whole)


def test_a_file_is_written_whole_in_as_many_calls_as_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))
    assert write_whole(memoryview(b"ten bytes."), tmp_path / "a.png") > 0
    assert (tmp_path / "a.png").read_bytes() == b"ten bytes."
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
