"""Progress of a long load, a line at a time on standard output, which the harness keeps in the run's log."""

from __future__ import annotations

import time

LINE_EVERY_S = 5.0


class ProgressLines:
    """Says every few seconds how much of `total` is done, and once that all is."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total = what, total
        self._began = self._said = time.monotonic()

    def show(self, done: int) -> None:
        now = time.monotonic()
        if done < self._total and now - self._said < LINE_EVERY_S:
            return
        self._said = now
        used_s = now - self._began
        left = f", about {used_s * (self._total - done) / done:.0f} s left" if 0 < done < self._total else ""
        print(f"{self._what}: {done:,} of {self._total:,} in {used_s:.1f} s{left}", flush=True)
