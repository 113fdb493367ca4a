"""Pacing: whether another batch can be made *and* written before the deadline, and how large it may be."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

# A batch may take this much longer than the slowest recent one and still be on disk in time.
SAFETY = 1.15
RECENT = 4


@dataclass
class Pacer:
    """Predicts the next batch from the recent ones.

    Attributes:
        deadline: CLOCK_MONOTONIC seconds.
        margin_s: kept free before the deadline for closing files and for the process to end.
    """

    deadline: float
    margin_s: float
    _recent: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=RECENT))
    _fastest_s: float = math.inf

    def observe(self, images: int, seconds: float) -> None:
        """A batch of `images` took `seconds`, waiting for the writer included."""
        self._recent.append((images, seconds))
        self._fastest_s = min(self._fastest_s, seconds)

    def seconds_for(self, images: int) -> float:
        """Upper estimate of the seconds for a batch of `images`; 0 while nothing has been seen.

        Linear in the images at the slowest recent rate, but never less than the fastest batch yet: on a GPU a batch
        of one can cost as much as a full one.
        """
        if not self._recent:
            return 0.0
        slowest_rate = max(seconds / count for count, seconds in self._recent)
        return SAFETY * max(images * slowest_rate, self._fastest_s)

    def next_batch(self, now: float, wanted: int, drain_s: float) -> int:
        """Images to make next, at most `wanted`; 0 when none would be on disk in time.

        Args:
            now: CLOCK_MONOTONIC seconds.
            wanted: the full batch.
            drain_s: seconds that the writer needs for what is queued already.
        """
        left = self.deadline - self.margin_s - drain_s - now
        if left <= 0 or self.seconds_for(1) > left:
            return 0
        full = self.seconds_for(wanted)
        return wanted if full <= left else max(1, int(wanted * left / full))
