"""Images to the output folder, atomically, in background threads."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from evaluation.challenge import Challenge

UNFINISHED = ".part"


class ImageWriter:
    """Writes `OUTPUT/<label:03d>-<class_name>/<index:06d>.png`.

    A file gets its name once it is whole: it is written under a name that ends in `.part`, then renamed. The queue is
    bounded, so a slow disk slows the generator down instead of filling memory.
    """

    def __init__(self, output: Path, challenge: Challenge, threads: int = 2, queue: int = 2048) -> None:
        self._folders = [output / challenge.folder_name(label) for label in range(challenge.classes)]
        for folder in self._folders:
            folder.mkdir(parents=True, exist_ok=True)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="writer")
        self._threads = threads
        self._queue = queue
        self._pending: set[Future[float]] = set()
        self.written = 0
        self.busy_s = 0.0

    def write(self, images_BHWC: NDArray[np.uint8], labels: Sequence[int], indices: Sequence[int]) -> None:
        """Queue images, uint8 (B, H, W, 3). Blocks while the queue is full; raises OSError where a write failed."""
        for image_HWC, label, index in zip(images_BHWC, labels, indices, strict=True):
            path = self._folders[label] / f"{index:06d}.png"
            self._pending.add(self._pool.submit(_write_png, image_HWC, path))
        self._collect(room=True)

    def seconds_to_drain(self) -> float:
        """How long the queue will take at the speed seen so far."""
        self._collect(room=False)
        each = self.busy_s / self.written / self._threads if self.written else 0.0
        return len(self._pending) * each

    def full(self, images: int) -> bool:
        """Whether queueing `images` more would have to wait for the disk."""
        return len(self._pending) + images > self._queue

    def close(self) -> None:
        """Wait until every image is on disk."""
        self._pool.shutdown(wait=True)
        self._collect(room=False)

    def _collect(self, room: bool) -> None:
        while True:
            finished = {future for future in self._pending if future.done()}
            self._pending -= finished
            for future in finished:
                self.busy_s += future.result()
                self.written += 1
            if not room or len(self._pending) <= self._queue:
                return
            wait(self._pending, return_when=FIRST_COMPLETED)


def _write_png(image_HWC: NDArray[np.uint8], path: Path) -> float:
    """Write one image; returns the seconds it took."""
    start = time.monotonic()
    part = path.with_name(path.name + UNFINISHED)
    # level 1: on small images higher levels cost several times the time for a few percent of the bytes
    Image.fromarray(image_HWC).save(part, format="PNG", compress_level=1)
    part.replace(path)
    return time.monotonic() - start
