"""The log of a generator: what it prints, as far as it is worth keeping."""

import os

# of the log: its beginning and, where a program that crashed says why, its end
HEAD_BYTES = 15 << 20
TAIL_BYTES = 1 << 20


class BoundedLog:
    """A log that cannot fill the disk: its first and last bytes, and a sentence for what was cut between.

    `file` is a descriptor open for writing; the tail stays in memory until the log is closed.
    """

    def __init__(self, file: int, head_bytes: int = HEAD_BYTES, tail_bytes: int = TAIL_BYTES) -> None:
        self._file, self._head_bytes, self._tail_bytes = file, head_bytes, tail_bytes
        self._room, self._tail, self._cut = head_bytes, bytearray(), 0

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
