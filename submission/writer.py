"""Images to the output folder, atomically, in background threads."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Condition

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from evaluation.challenge import Challenge

UNFINISHED = ".part"
# writes that the speed is taken from
RECENT = 256


class ImageWriter:
    """Writes `OUTPUT/<label:03d>-<class_name>/<index:06d>.png`.

    A file gets its name once it is whole: it is written under a name that ends in `.part`, then renamed. The queue is
    bounded, so a slow disk slows the generator down instead of filling memory. The first write that fails raises its
    OSError from the next call here.
    """

    def __init__(self, output: Path, challenge: Challenge, threads: int = 2, queue: int = 2048) -> None:
        self._folders = [output / challenge.folder_name(label) for label in range(challenge.classes)]
        for folder in self._folders:
            folder.mkdir(parents=True, exist_ok=True)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="writer")
        self._threads = threads
        self._queue = queue
        self._changed = Condition()
        self._pending = 0
        self._failure: OSError | None = None
        self._recent_s: deque[float] = deque(maxlen=RECENT)
        self.written = 0

    def write(self, images_BHWC: NDArray[np.uint8], labels: Sequence[int], indices: Sequence[int]) -> None:
        """Queue images, uint8 (B, H, W, 3). Blocks while the queue is full."""
        for image_HWC, label, index in zip(images_BHWC, labels, indices, strict=True):
            with self._changed:
                self._pending += 1
            self._pool.submit(self._write_one, image_HWC, self._folders[label] / f"{index:06d}.png")
        self._wait(leave=self._queue)

    def full(self, images: int) -> bool:
        """Whether queueing `images` more would have to wait for the disk."""
        return self._pending + images > self._queue

    def seconds_to_drain(self) -> float:
        """How long the queue will take at the speed of the latest writes."""
        with self._changed:
            each = sum(self._recent_s) / len(self._recent_s) if self._recent_s else 0.0
            return self._pending * each / self._threads

    def drain_some(self) -> bool:
        """Wait until about a quarter of the queue is on disk; whether there was anything to wait for."""
        waiting = self._pending
        self._wait(leave=waiting * 3 // 4)
        return waiting > 0

    def close(self) -> None:
        """Wait until every image is on disk."""
        self._wait(leave=0)
        self._pool.shutdown()

    def _wait(self, leave: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._failure or self._pending <= leave)
            if self._failure:
                raise self._failure

    def _write_one(self, image_HWC: NDArray[np.uint8], path: Path) -> None:
        start = time.monotonic()
        failure: OSError | None = None
        try:
            part = path.with_name(path.name + UNFINISHED)
            # level 1: on small images higher levels cost several times the time for a few percent of the bytes
            Image.fromarray(image_HWC).save(part, format="PNG", compress_level=1)
            part.replace(path)
        except OSError as error:
            failure = error
        with self._changed:
            self._pending -= 1
            self._failure = self._failure or failure
            self._recent_s.append(time.monotonic() - start)
            self.written += failure is None
            self._changed.notify_all()
