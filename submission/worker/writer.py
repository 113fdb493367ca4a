"""Images to the output folder, atomically, in background threads."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Condition, Thread

import cv2
import numpy as np
from numpy.typing import NDArray

from evaluation.base.challenge import Challenge
from submission.worker.disk import DiskSpeed, DiskWaits, FileTimes, let_writers_in, wait_for_lock, write_whole

# The speed of the disk, as the files that are written show it, is believed for so many times as many files.
TRUST = 16
MOST_THREADS = 64
QUEUE = 2048  # files
# Twice the threads have to bring this many times the files a second, or it is the disk's throughput that is the limit.
FASTER = 1.25
# Seconds between checks, while waiting for the disk, whether more threads would help.
LOOK_S = 0.1
# on small images higher levels cost several times the time for a few percent of the bytes
_ENCODING = (cv2.IMWRITE_PNG_COMPRESSION, 1)

Pixels = NDArray[np.uint8]  # (H, W, 3)
Change = Callable[[Pixels], Pixels]

_Waiting = tuple[Pixels, Change | None, Path]


class ImageWriter:
    """Writes `OUTPUT/<label:03d>-<class_name>/<index:06d>.png`, as `.part` until a file is whole.

    The queue is bounded (`queue` files may wait), so a slow disk slows the generator down instead of filling memory.
    Where it is the disk that is waited for, more threads wait for it. The first write that fails raises its error from
    the next call here. `written` counts files on disk.
    """

    def __init__(self, output: Path, challenge: Challenge, threads: int = 2, queue: int = QUEUE) -> None:
        let_writers_in()
        self._folders = [output / challenge.folder_name(label) for label in range(challenge.classes)]
        for folder in self._folders:
            folder.mkdir(parents=True, exist_ok=True)
        self.queue = queue
        self._changed = Condition()
        self._waiting: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._pending = 0
        self._failure: Exception | None = None
        self._waits = DiskWaits()
        self._began: dict[int, float] = {}
        # the clock that runs while anything is pending
        self._busy_s, self._busy_since = 0.0, 0.0
        self._speed = DiskSpeed(threads)
        self._each_before_s: float | None = None
        # the disk takes no more files a second, however many threads wait for it
        self._at_its_limit = False
        self._most_threads = MOST_THREADS
        self._threads: list[Thread] = []
        self._start(threads)
        self.written = 0

    @property
    def pending(self) -> int:
        """Images that are queued and not on disk yet."""
        return self._pending

    @property
    def threads(self) -> int:
        return len(self._threads)

    def write(self, images_BHWC: Sequence[Pixels] | Pixels, labels: Sequence[int], indices: Sequence[int]) -> int:
        """Queue images, uint8 (B, H, W, 3), and return how many files that is. Blocks while the queue is full."""
        return self._queue_files(images_BHWC, labels, indices, [None] * len(labels))

    def _queue_files(
        self,
        images_BHWC: Sequence[Pixels] | Pixels,
        labels: Sequence[int],
        indices: Sequence[int],
        changes: Sequence[Change | None],
    ) -> int:
        """As `write`; `changes` are what the thread that writes an image does to it first."""
        if self._pending:  # the batch before is still not on disk
            self._add_threads()
        for image_HWC, label, index, change in zip(images_BHWC, labels, indices, changes, strict=True):
            with self._changed:
                if not self._pending:
                    self._busy_since = time.monotonic()
                self._pending += 1
            self._waiting.put((image_HWC, change, self._folders[label] / f"{index:06d}.png"))
        self._wait(leave=self.queue)
        return len(labels)

    def trusted(self, images: int) -> int:
        """As many of `images` as the speed of the disk is believed for."""
        return min(images, TRUST * self.written) if self.written else images

    def full(self, images: int) -> bool:
        """Whether queueing `images` more would have to wait for the disk."""
        return self._pending + images > self.queue

    def seconds_to_write(self, images: int) -> float:
        """How long `images` take at the speed of the latest writes, and of those that are not done yet."""
        with self._changed:
            if not images or not self._waits.seen:
                return 0.0
            now = time.monotonic()
            oldest = max((now - began for began in self._began.values()), default=0.0)
            answer_s = self._waits.answer_s
            before_s = answer_s if self._each_before_s is None else self._each_before_s
            each_s = self._speed.each_s if self._speed.settled else before_s
            # where files wait for each other the answer is made of the files before, which `images` counts already
            last_s = each_s if self._at_its_limit and oldest < 2 * answer_s else max(answer_s, oldest)
            return images * each_s + last_s

    def drain_some(self) -> bool:
        """Wait until about a quarter of the queue is on disk; whether there was anything to wait for."""
        waiting = self._pending
        self._wait(leave=waiting * 3 // 4)
        return waiting > 0

    def drain(self) -> None:
        """Wait until every image is on disk."""
        self._wait(leave=0)

    def close(self) -> None:
        """Wait until every image is on disk, and end the threads."""
        self.drain()
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _start(self, count: int) -> None:
        for _ in range(count):
            # a daemon: when a write has failed nobody closes, and nobody waits for the others
            thread = Thread(target=self._work, args=(len(self._threads),), name="writer", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _add_threads(self) -> None:
        """Twice as many where the disk is slow to answer, as long as that helps."""
        with self._changed:
            if not self._waits.for_disk or not self._speed.settled or self.threads >= self._most_threads:
                return
            each_s = self._speed.each_s
            if self._each_before_s is not None and each_s * FASTER > self._each_before_s:
                self._most_threads, self._at_its_limit = self.threads, True
                return
            self._each_before_s = each_s
            added = min(self.threads, self._most_threads - self.threads)
            self._speed.restart(self.threads + added)
        self._start(added)

    def _busy_now(self) -> float:
        return self._busy_s + (time.monotonic() - self._busy_since if self._pending else 0.0)

    def _wait(self, leave: int) -> None:
        done: object = False
        while not done:
            with self._changed:
                done = self._changed.wait_for(lambda: self._failure or self._pending <= leave, timeout=LOOK_S)
                if self._failure:
                    raise self._failure
            if not done:
                self._add_threads()

    def _work(self, number: int) -> None:
        while (waiting := self._waiting.get()) is not None:
            start = time.monotonic()
            with self._changed:
                self._began[number] = start
            written = _write(*waiting)
            with self._changed:
                del self._began[number]
                end_s = self._busy_now()
                self._speed.observe(end_s)
                self._pending -= 1
                if not self._pending:
                    self._busy_s = end_s
                if isinstance(written, FileTimes):
                    self._waits.observe(written)
                    self.written += 1
                else:
                    self._failure = self._failure or written
                self._changed.notify_all()


def _write(image_HWC: Pixels, change: Change | None, path: Path) -> FileTimes | Exception:
    """Write one image; what went wrong."""
    began, processor_began = time.monotonic(), time.thread_time()
    try:
        if change is not None:
            image_HWC = change(image_HWC)
        # OpenCV, whose colours are BGR: in one call outside of Python's lock, for which the generator would wait
        encoded = cv2.imencode(".png", image_HWC[..., ::-1], _ENCODING)[1]
        calls_s = write_whole(encoded.data, path)
    except Exception as error:  # whatever it is, a thread that died of it would be waited for
        return error
    return FileTimes(time.monotonic() - began, time.thread_time() - processor_began, calls_s, wait_for_lock())
