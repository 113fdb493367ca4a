"""The order of images: round after round over the classes, so that a cut leaves them within one batch of each other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count


def interleaved(classes: int, ipc: int | None, block: int = 1) -> Iterator[tuple[int, int]]:
    """Yield (label, index): of every label the next `block` indices, then again; endless where `ipc` is None.

    `ipc` is a multiple of `block`.
    """
    for first in count(0, block) if ipc is None else range(0, ipc, block):
        for label in range(classes):
            for index in range(first, first + block):
                yield label, index
