import heapq
import os
import time
from pathlib import Path
from threading import Event, Lock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from evaluation.base.challenge import get_challenge
from submission.worker.writer import DiskSpeed, ImageWriter

DIGITS = get_challenge("digits")


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), np.uint8)


def test_images_come_back_exactly_and_nothing_unfinished_is_left(tmp_path: Path) -> None:
    images = pictures(20)
    labels, indices = [i % 10 for i in range(20)], [i // 10 for i in range(20)]
    writer = ImageWriter(tmp_path, DIGITS)
    writer.write(images, labels, indices)
    writer.close()
    assert writer.written == 20
    for image, label, index in zip(images, labels, indices, strict=True):
        path = tmp_path / f"{label:03d}-{label}" / f"{index:06d}.png"
        assert np.array_equal(np.asarray(Image.open(path)), image)
    assert not list(tmp_path.rglob("*.part"))


def test_a_full_queue_holds_the_generator_back(tmp_path: Path) -> None:
    writer = ImageWriter(tmp_path, DIGITS, threads=1, queue=4)
    writer.write(pictures(40), [0] * 40, list(range(40)))
    assert len(list(tmp_path.rglob("*.png"))) >= 36
    writer.close()


def test_a_failed_write_is_told(tmp_path: Path) -> None:
    writer = ImageWriter(tmp_path, DIGITS)
    folder = tmp_path / "003-3"
    folder.rmdir()
    folder.write_text("in the way")
    with pytest.raises(NotADirectoryError):
        writer.write(pictures(1), [3], [0])
        writer.close()


def test_more_threads_wait_for_a_disk_that_is_slow_to_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow_replace(part: Path, path: Path) -> None:
        time.sleep(0.02)
        replace(part, path)

    replace = os.replace
    monkeypatch.setattr(Path, "replace", slow_replace)
    writer = ImageWriter(tmp_path, DIGITS, threads=2)
    for batch in range(12):
        writer.write(pictures(10), [0] * 10, list(range(10 * batch, 10 * batch + 10)))
        time.sleep(0.02)
    assert writer.threads > 2
    assert writer.seconds_to_write(100) > 0.02
    writer.close()
    assert writer.written == 120 and writer.pending == 0


def test_a_single_large_batch_gets_more_threads_while_it_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow_replace(part: Path, path: Path) -> None:
        time.sleep(0.03)
        replace(part, path)

    replace = os.replace
    monkeypatch.setattr(Path, "replace", slow_replace)
    writer = ImageWriter(tmp_path, DIGITS, threads=2)
    writer.write(pictures(300), [0] * 300, list(range(300)))
    assert writer.drain_some()
    writer.close()
    assert writer.threads >= 8


def test_a_disk_that_takes_one_file_at_a_time_is_not_met_with_more_and_more_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, one_at_a_time = os.replace, Lock()

    def slow_replace(part: Path, path: Path) -> None:
        with one_at_a_time:
            time.sleep(0.01)
            replace(part, path)

    monkeypatch.setattr(Path, "replace", slow_replace)
    writer = ImageWriter(tmp_path, DIGITS, threads=2)
    for batch in range(20):
        writer.write(pictures(10), [0] * 10, list(range(10 * batch, 10 * batch + 10)))
        time.sleep(0.03)
    assert writer.threads <= 8
    assert writer.seconds_to_write(100) >= 0.9 * 100 * 0.01
    writer.close()
    assert writer.written == 200


def test_a_write_that_hangs_shows_before_it_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = ImageWriter(tmp_path, DIGITS, threads=1)
    writer.write(pictures(4), [0] * 4, list(range(4)))
    writer._wait(leave=0)
    hang = Event()
    replace = os.replace
    monkeypatch.setattr(Path, "replace", lambda part, path: (hang.wait(20), replace(part, path)))
    writer.write(pictures(1), [1], [0])
    time.sleep(0.3)
    assert writer.seconds_to_write(1) >= 0.25
    hang.set()
    writer.close()


def test_a_disk_at_its_limit_is_not_taken_to_be_slower_than_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that wait for each other take as long as those before them; that is counted once."""
    replace, one_at_a_time = os.replace, Lock()

    def slow_replace(part: Path, path: Path) -> None:
        with one_at_a_time:
            time.sleep(0.02)
            replace(part, path)

    monkeypatch.setattr(Path, "replace", slow_replace)
    writer = ImageWriter(tmp_path, DIGITS, threads=2)
    writer.write(pictures(100), [0] * 100, list(range(100)))
    writer.drain()
    assert writer._at_its_limit
    assert writer.seconds_to_write(30) == pytest.approx(31 * writer._speed.each_s)
    writer.close()


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
