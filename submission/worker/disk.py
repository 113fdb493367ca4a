"""What the disk does to the files of a run: each written whole, how fast they come, and whether they wait for it."""

import os
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

# Files that the speed of the disk is taken from.
RECENT = 128
UNFINISHED = ".part"
# A file that waits this many times its processor time for the disk is one that more of them could wait for in parallel.
WAITING = 3.0
# Seconds after which a thread that interprets Python lets others in that wait; Python's own are ten times as many.
SWITCH_S = 0.0005
# The calls of the system in which a file is written, each of which lets go of Python's lock and then waits for it.
_CALLS = 4
# The disk's part of the time in those calls, from which on it is the disk: what the lock takes is known by a sample.
_SHARE = 1 / 3


@dataclass(frozen=True)
class FileTimes:
    """Seconds that one file took.

    Attributes:
        whole: from an image to a file on disk.
        processor: of the thread's processor time.
        calls: in the calls of the system that write it, and in waiting for Python's lock after each.
        lock: of one such wait, measured beside the file by a call that does nothing else.
    """

    whole: float
    processor: float
    calls: float
    lock: float


def write_whole(data: memoryview, path: Path) -> float:
    """Write a file that is `.part` until it is whole; returns the seconds in calls of the system. Raises OSError."""
    began = time.monotonic()
    part = path.with_name(path.name + UNFINISHED)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)
    part.replace(path)
    return time.monotonic() - began


def let_writers_in() -> None:
    """From now on a thread of this process that waits for Python's lock waits a tenth of the usual time at most.

    Each file takes the lock half a dozen times from a generator that is all Python.
    """
    sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_S))


def wait_for_lock() -> float:
    """Let go of Python's lock and take it again, as a call of the system does; returns the seconds that it took."""
    began = time.monotonic()
    time.sleep(0)
    return time.monotonic() - began


class DiskWaits:
    """Whether files wait for the disk: not for a processor, nor for Python's lock, which a busy generator holds.

    A call of the system that took long may have been answered at once, and its thread have waited for the lock.
    Only the rest of its time is the disk's.
    """

    def __init__(self) -> None:
        self._recent: deque[FileTimes] = deque(maxlen=RECENT)

    def observe(self, file: FileTimes) -> None:
        self._recent.append(file)

    @property
    def seen(self) -> bool:
        """Whether any file was."""
        return bool(self._recent)

    @property
    def answer_s(self) -> float:
        """Seconds from an image to its file, the mean of the latest; whatever they waited for."""
        return sum(file.whole for file in self._recent) / len(self._recent)

    @property
    def for_disk(self) -> bool:
        """Whether the latest files spent most of their time waiting for the disk."""
        calls = sum(file.calls for file in self._recent)
        disk = calls - _CALLS * sum(file.lock for file in self._recent)
        return disk > max(_SHARE * calls, WAITING * sum(file.processor for file in self._recent))


class DiskSpeed:
    """Seconds for each file with a number of threads that write.

    Threads that wait for the disk end their files in bursts, one for each thread, and a count that cuts a burst in two
    flatters the disk. So time is taken over whole rounds of the threads, from the end of one file to that of another.
    """

    def __init__(self, threads: int) -> None:
        self.restart(threads)

    def restart(self, threads: int) -> None:
        """From now on so many threads write; what was seen before says nothing of them."""
        self._threads = threads
        self._ends: deque[float] = deque(maxlen=RECENT + 1)

    def observe(self, end_s: float) -> None:
        """A file was done at `end_s`, on a clock that stands still while there is nothing to write."""
        self._ends.append(end_s)

    @property
    def settled(self) -> bool:
        """Whether enough was seen: two rounds of the threads."""
        return len(self._ends) > 2 * self._threads

    @property
    def each_s(self) -> float:
        """Seconds for each of the latest files, once `settled`."""
        gaps = len(self._ends) - 1
        assert gaps >= self._threads, "a whole round was seen"
        whole = gaps - gaps % self._threads
        return (self._ends[-1] - self._ends[-1 - whole]) / whole
