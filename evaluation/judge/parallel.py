"""Threads: workers that share out each batch among a CPU's cores, and slots that train rounds in parallel.

PyTorch's own way is to split every single operation and to wait for the slowest core at the end of each. Parts of a
batch meet only once per step, stay in their core's cache, and are less disturbed by other processes. While one round
draws its batch and updates its weights, the others keep the workers busy: on two cores three parallel rounds train a
sixth more images per second than sequential ones. On a card each slot has a stream of its own, so that what one round
leaves idle of it others use. The arithmetic of a round does not change.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from typing import TypeVar

import torch

from evaluation.judge.streams import on_stream, repeatable

# Python runs one thread at a time: more workers than this would wait for it, so each takes several cores instead.
MAX_WORKERS = 16
# With two slots the workers idle now and then; more than three only take memory.
MAX_SLOTS = 3

Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers:
    """Threads, `count` of them, that divide the cores PyTorch would use; `close` returns the cores to it."""

    def __init__(self) -> None:
        self._cores = torch.get_num_threads()
        self.count = min(self._cores, MAX_WORKERS)
        each = (self._cores // self.count,)
        self._pool = ThreadPoolExecutor(self.count, "judge", initializer=torch.set_num_threads, initargs=each)

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """The results in the order of the items."""
        return list(self._pool.map(function, items))

    def close(self) -> None:
        self._pool.shutdown()
        # What a worker set for itself is also the default of threads that are yet to start, and of one library.
        torch.set_num_threads(self._cores)


@contextmanager
def workers_for(device: torch.device) -> Iterator[Workers | None]:
    """Workers where the device is a CPU, closed at the end; None elsewhere."""
    if device.type != "cpu":
        yield None
        return
    with closing(Workers()) as workers:
        yield workers


@contextmanager
def one_thread() -> Iterator[None]:
    """Operations on one core. Small ones gain nothing from more, and where others want the cores each waits for all."""
    cores = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(cores)


class RoundCancelledError(Exception):
    """Another round failed or was interrupted, so this one need not go on."""


class SharedClock:
    """A clock that runs slower the more slots are active: what all of them measure adds up to the time passed."""

    def __init__(self) -> None:
        self._lock, self._active = threading.Lock(), 0
        self._seconds, self._updated = 0.0, time.monotonic()

    def now(self) -> float:
        """Seconds, of no particular origin."""
        return self._update(0)

    @contextmanager
    def active(self) -> Iterator[None]:
        """While one more slot is active."""
        self._update(+1)
        try:
            yield
        finally:
            self._update(-1)

    def _update(self, started: int) -> float:
        with self._lock:
            now = time.monotonic()
            self._seconds += (now - self._updated) / max(1, self._active)
            self._updated = now
            self._active += started
            return self._seconds


class RoundSlots:
    """Threads, `count` of them, that each train one round at a time; the calling thread alone where one is enough.

    `workers` are for the engines of all slots, None where these do without; `clock` measures each slot's part of time.
    """

    def __init__(self, rounds: int, engine: str, device: torch.device) -> None:
        """As many as are thought to pay off for `rounds` of `engine`: the reference stays plain."""
        self.workers = Workers() if engine == "fast" and device.type == "cpu" else None
        several = self.workers.count > 1 if self.workers else engine == "fast"
        self.count = min(rounds, MAX_SLOTS) if several else 1
        self.clock = SharedClock()
        self._device, self._cores = device, torch.get_num_threads()
        self._cancelled = threading.Event()

    def run(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """`function` of each of the items, all at once, on a card each on a stream; one item for each slot at most.

        Raises what the first of them raised, once the others have noticed by `check` and ended too.
        """
        assert len(items) <= self.count
        if self.count == 1:
            return [function(item) for item in items]

        def in_slot(number: int, item: Item) -> Result:
            with on_stream(self._device, number):
                return function(item)

        threads = ThreadPoolExecutor(self.count, "round", initializer=torch.set_num_threads, initargs=(1,))
        with repeatable(self._device), threads as pool:
            futures = [pool.submit(in_slot, number, item) for number, item in enumerate(items)]
            try:
                for future in as_completed(futures):
                    future.result()
            except BaseException:  # an interruption of the main thread too
                self._cancelled.set()
                raise
        return [future.result() for future in futures]

    def check(self) -> None:
        """Raises RoundCancelledError where another slot has failed."""
        if self._cancelled.is_set():
            raise RoundCancelledError

    def close(self) -> None:
        if self.workers:
            self.workers.close()
        torch.set_num_threads(self._cores)
