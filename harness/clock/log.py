"""A log that cannot fill the disk: its first and its last megabytes, and a sentence for what was cut between."""

from __future__ import annotations

import os

HEAD_BYTES = 15 << 20
TAIL_BYTES = 1 << 20


class BoundedLog:
    """Writes to an open file as long as there is room, then keeps the end in memory until it is closed.

    The end matters as much as the beginning: it is where a program that crashed says why.
    """

    def __init__(self, file: int, head_bytes: int = HEAD_BYTES, tail_bytes: int = TAIL_BYTES) -> None:
        """
        Args:
            file: descriptor of a file open for writing.
            head_bytes: how much of the beginning is kept.
            tail_bytes: how much of the end is kept.
        """
        self._file = file
        self._head_bytes = self._room = head_bytes
        self._tail_bytes = tail_bytes
        self._tail = bytearray()
        self._cut = 0

    def write(self, data: bytes) -> None:
        """Add to the log. A full disk cuts the log and raises nothing."""
        head, rest = data[: self._room], data[self._room :]
        self._room -= len(head)
        self._put(head)
        self._tail += rest
        if len(self._tail) > 2 * self._tail_bytes:
            self._shorten()

    def close(self) -> None:
        """Write what was kept in memory, and how much is missing before it."""
        self._shorten()
        if self._cut:
            kept = f"the first {self._head_bytes:,} and the last {self._tail_bytes:,} bytes are kept"
            self._put(f"\n[the harness cut {self._cut:,} bytes of output here; {kept}]\n".encode())
        self._put(bytes(self._tail))

    def _shorten(self) -> None:
        surplus = max(0, len(self._tail) - self._tail_bytes)
        self._cut += surplus
        del self._tail[:surplus]

    def _put(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._file, data) :]
            except OSError:
                self._cut += len(data)
                return
