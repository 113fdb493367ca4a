"""Pacing: whether another batch can be made *and* written before the deadline, and how large it may be.

Nothing here reads a clock or a disk: the worker tells what it sees. `docs/planning.md` says how the parts fit.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

# A batch may take this many times what the recent ones predict and still be on disk in time; where batches have lately
# exceeded their predictions by more, up to MOST_SAFETY.
SAFETY = 1.15
MOST_SAFETY = 1.5
RECENT = 4
SURPRISES = 16
# Of the time left at the start: the most that is added to the margin where the machine was seen to stall.
STALL_FRACTION = 0.005

# Seconds, and a fraction of the budget. The driver frees a card's memory before a process ends. On a processor that
# others use as well, one in ten one-minute runs stood still for 0.4 s at its very end.
_KEPT = {"cpu": (0.3, 0.004), "cuda": (0.5, 0.002)}


def margin_s(budget_left_s: float, device: str) -> float:
    """Seconds kept free before the deadline: a part of the budget, and never less than a process takes to end."""
    ending_s, fraction = _KEPT["cpu" if device.startswith("cpu") else "cuda"]
    return ending_s + fraction * budget_left_s


@dataclass
class Pacer:
    """Predicts the next batch from the recent ones.

    The seconds of a batch are taken to grow with its images, in proportion at most, and to drift together for all
    sizes when the machine slows down.

    Attributes:
        deadline: CLOCK_MONOTONIC seconds.
        margin_s: kept free before the deadline for closing files and for the process to end.
        most_stall_s: kept free at most for a stall: the longest time by which a batch exceeded its upper estimate.
    """

    deadline: float
    margin_s: float
    most_stall_s: float = 0.0
    _stall_s: float = 0.0
    # size -> the fewest seconds that a batch of it took
    _fastest: dict[int, float] = field(default_factory=dict)
    _recent: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=RECENT))
    _surprises: deque[float] = field(default_factory=lambda: deque(maxlen=SURPRISES))

    def expect(self, batches: Iterable[tuple[int, float]]) -> None:
        """Add (images, seconds) that were measured in an earlier process, or on the first, slow batch."""
        for images, seconds in batches:
            self._fastest[images] = min(seconds, self._fastest.get(images, seconds))

    def observe(self, images: int, seconds: float) -> None:
        """A batch of `images` took `seconds` to make, without the time that the writer needed."""
        if self._recent:
            self._stall_s = max(self._stall_s, min(self.most_stall_s, seconds - self.seconds_for(images)))
            self._surprises.append(seconds / self._at_recent_pace(images))
        self.expect([(images, seconds)])
        self._recent.append((images, seconds))

    def seconds_for(self, images: int) -> float:
        """Upper estimate of the seconds for a batch; 0 while nothing is known. It never falls with `images`."""
        if not self._fastest:
            return 0.0
        return self.safety * self._at_recent_pace(images)

    @property
    def safety(self) -> float:
        """The factor of the estimate."""
        return min(MOST_SAFETY, max([SAFETY, *self._surprises]))

    def next_batch(self, now: float, wanted: int, seconds_to_write: Callable[[int], float], queued: int = 0) -> int:
        """Images to make next, at most `wanted`; 0 when none would be on disk in time.

        Args:
            now: CLOCK_MONOTONIC seconds.
            wanted: the full batch.
            seconds_to_write: how long the writer needs for so many images; must not fall with them.
            queued: images that wait for the writer already. They are written while the batch is made.
        """
        left = self.deadline - self.margin_s - self._stall_s - now
        if left <= 0:
            return 0
        drain_s = SAFETY * seconds_to_write(queued)

        def too_long(images: int) -> bool:
            return max(self.seconds_for(images), drain_s) + SAFETY * seconds_to_write(images) > left

        # the first size that is too long follows the largest that fits
        return bisect_right(range(1, wanted + 1), False, key=too_long)

    def _at_recent_pace(self, images: int) -> float:
        """Seconds for a batch of `images` at the slowest pace of the recent batches."""
        slowdown = max((seconds / self._at_best(size) for size, seconds in self._recent), default=1.0)
        # an image is never cheaper in a smaller batch, whatever was measured when the machine was faster
        rate = max((seconds / size for size, seconds in self._recent if size >= images), default=0.0)
        return max(slowdown * self._at_best(images), images * rate)

    def _at_best(self, images: int) -> float:
        """Fewest seconds for a batch of `images`, interpolated; below the smallest size seen, as much as that one's."""
        sizes = sorted(self._fastest)
        # a smaller batch costs no more than a larger one: what it took for being the first is left out
        costs = [min(self._fastest[larger] for larger in sizes[i:]) for i in range(len(sizes))]
        if images > sizes[-1]:
            return costs[-1] * images / sizes[-1]
        return float(np.interp(images, sizes, costs))
