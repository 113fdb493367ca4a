"""How fast a disk takes files, from the moments at which they were done."""

from __future__ import annotations

from collections import deque

# writes that the speed is taken from
RECENT = 128


class DiskSpeed:
    """Seconds for each file with a number of threads that write.

    Threads that wait for the disk's answer end their files in bursts, one for each thread, and a count of files that
    cuts a burst in two flatters the disk. So the time is taken over whole rounds of the threads, from the end of one
    file to the end of another: nothing depends on when in a round the first one was looked at.
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
