"""When the files of a container's output folder were last changed, as the kernel has it, told by a program of our own.

An engine tells the time that a program has set for a file (its mtime), not the one that no program can set (its ctime).
So where we cannot look at the folder ourselves, a program in the holder does (`list_changes.c`).
"""

import math
import os
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

_RECORD = struct.Struct("<qII")  # seconds, nanoseconds, length of the path that follows


@dataclass(frozen=True)
class Changes:
    """When each file was last changed.

    Attributes:
        times: UNIX seconds on the clock that stamps files, by the path within the folder.
        clock_error: seconds by which that clock is ahead of ours; 0 as long as they may be the same.
    """

    times: Mapping[str, float]
    clock_error: float = 0.0

    def is_late(self, place: PurePosixPath, until: float) -> bool:
        """Whether a file was changed, or may have been, after `until`, in UNIX seconds on our clock."""
        return self.times.get(str(place), math.inf) > until + self.clock_error


ALL_IN_TIME = Changes({})  # where nothing is late: `until` is infinite


def read_changes(list_changes: Callable[[], Iterable[bytes]], now: Callable[[], float] = time.time) -> Changes:
    """Read what the program says.

    Args:
        list_changes: runs it and gives its output in pieces of any length.
        now: UNIX seconds on our clock.

    Raises:
        ValueError: it did not tell all.
    """
    earliest = now()
    records = _records(list_changes())
    shown, _ = next(records)
    latest = now()
    ahead, behind = shown - latest, shown - earliest
    times: dict[str, float] = {}
    for moment, path in records:
        if not path:
            return Changes(times, 0.0 if ahead <= 0 <= behind else min(ahead, behind, key=abs))
        times[os.fsdecode(path)] = moment
    raise _cut_off()


def _records(pieces: Iterable[bytes]) -> Iterator[tuple[float, bytes]]:
    rest = b""
    for piece in pieces:
        rest, at = rest + piece, 0
        while len(rest) - at >= _RECORD.size:
            seconds, nanoseconds, length = _RECORD.unpack_from(rest, at)
            end = at + _RECORD.size + length
            if end > len(rest):
                break
            yield seconds + nanoseconds * 1e-9, rest[at + _RECORD.size : end]
            at = end
        rest = rest[at:]
    raise _cut_off()


def _cut_off() -> ValueError:
    return ValueError("the program that lists when files were changed was cut off")
