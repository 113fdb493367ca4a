import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock, Thread

import numpy as np
import pytest
from PIL import Image

from evaluation.base.challenge import get_challenge
from submission.worker.writer import ImageWriter

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


def slow_down_disk(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Make the disk take so long for each file."""

    def slow_replace(part: Path, path: Path) -> None:
        time.sleep(seconds)
        replace(part, path)

    replace = os.replace
    monkeypatch.setattr(Path, "replace", slow_replace)


def test_more_threads_wait_for_a_disk_that_is_slow_to_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow_down_disk(monkeypatch, 0.02)
    writer = ImageWriter(tmp_path, DIGITS, threads=2)
    for batch in range(12):
        writer.write(pictures(10), [0] * 10, list(range(10 * batch, 10 * batch + 10)))
        time.sleep(0.02)
    assert writer.threads > 2
    assert writer.seconds_to_write(100) > 0.02
    writer.close()
    assert writer.written == 120 and writer.pending == 0


@contextmanager
def busy_generator() -> Iterator[None]:
    """A thread that is all Python and never lets go of the interpreter's lock by itself."""
    over = False

    def spin() -> None:
        while not over:
            pass

    thread = Thread(target=spin)
    thread.start()
    try:
        yield
    finally:
        over = True
        thread.join()


def test_a_busy_generator_is_not_taken_for_a_slow_disk(tmp_path: Path) -> None:
    writer = ImageWriter(tmp_path, DIGITS, threads=2)
    with busy_generator():
        for batch in range(30):
            writer.write(pictures(10), [0] * 10, list(range(10 * batch, 10 * batch + 10)))
        writer.drain()
        assert writer.threads == 2
    writer.close()


def test_a_slow_disk_is_seen_behind_a_busy_generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow_down_disk(monkeypatch, 0.1)
    writer = ImageWriter(tmp_path, DIGITS, threads=2)
    with busy_generator():
        for batch in range(6):
            writer.write(pictures(10), [0] * 10, list(range(10 * batch, 10 * batch + 10)))
        writer.drain()
        assert writer.threads > 2
    writer.close()


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
