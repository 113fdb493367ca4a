"""Lanes: threads that each train a round of their own, side by side on workers that they share.

While one round draws its batch and updates its weights, the others keep the workers busy: on two cores three rounds at
once train a sixth more images a second than one after another. No round's arithmetic changes by it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import TypeVar

import torch

from evaluation.judge.cpu_threads import Workers

# With two, the workers wait now and then; more than three only take memory.
AT_ONCE = 3

Item = TypeVar("Item")
Result = TypeVar("Result")


class LaneStoppedError(Exception):
    """Another lane failed or was interrupted, so this one need not go on."""


class SharedClock:
    """A clock that each lane at work gets its part of: what all of them measure adds up to the time that passed."""

    def __init__(self) -> None:
        self._lock, self._lanes = threading.Lock(), 0
        self._told, self._at = 0.0, time.monotonic()

    def now(self) -> float:
        """Seconds, of no particular origin."""
        with self._lock:
            return self._advance()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """While one lane more is at work."""
        self._change(+1)
        try:
            yield
        finally:
            self._change(-1)

    def _change(self, lanes: int) -> None:
        with self._lock:
            self._advance()
            self._lanes += lanes

    def _advance(self) -> float:
        now = time.monotonic()
        self._told += (now - self._at) / max(1, self._lanes)
        self._at = now
        return self._told


class Lanes:
    """So many threads, or the caller's own where one is enough; `close` gives the cores back to PyTorch.

    Attributes:
        count: how many there are.
        workers: what their engines share; None for one lane, whose engine has its own.
        clock: measures each lane's part of the time.
    """

    def __init__(self, rounds: int, engine: str, device: torch.device) -> None:
        """As many as pay for `rounds` of `engine`: on CUDA nobody has measured it, and the reference is as it is."""
        pays = engine == "fast" and device.type == "cpu" and torch.get_num_threads() > 1
        self.count = min(rounds, AT_ONCE) if pays else 1
        self.workers = Workers() if self.count > 1 else None
        self.clock = SharedClock()
        self._stopping = threading.Event()

    def run(self, do: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """`do` for each of the items, all at once; one item for each lane at most.

        Raises:
            Exception: what the first of them raised, once the others have noticed by `check` and ended too.
        """
        assert len(items) <= self.count
        if self.count == 1:
            return [do(item) for item in items]
        with ThreadPoolExecutor(self.count, "round", initializer=torch.set_num_threads, initargs=(1,)) as pool:
            futures = [pool.submit(do, item) for item in items]
            try:
                for future in as_completed(futures):
                    future.result()
            except BaseException:  # an interruption of the main thread too
                self._stopping.set()
                raise
        return [future.result() for future in futures]

    def check(self) -> None:
        """Raises LaneStoppedError where another lane has failed."""
        if self._stopping.is_set():
            raise LaneStoppedError

    def close(self) -> None:
        if self.workers:
            self.workers.close()
