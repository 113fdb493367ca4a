"""The order of images: round after round over the classes, so that a cut leaves them within one batch of each other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count


def interleaved(classes: int, ipc: int | None) -> Iterator[tuple[int, int]]:
    """Yield (label, index) for index 0, 1, ... and, within each, every label; endless where `ipc` is None."""
    for index in count() if ipc is None else range(ipc):
        for label in range(classes):
            yield label, index
