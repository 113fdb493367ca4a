"""Workers: threads that each run PyTorch on a core of their own, on parts of a batch.

PyTorch's own way is to share out every single operation, and to wait for the slowest core at the end of each. Parts of
a batch meet once a step instead, stay in their core's cache, and do not care how many other processes want the cores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

# Python runs one thread at a time: with more workers than this they wait for it, so each takes several cores instead.
MOST_WORKERS = 16

Part = TypeVar("Part")
Result = TypeVar("Result")


class Workers:
    """Threads that share out the cores PyTorch would use; `close` gives them back to it."""

    def __init__(self) -> None:
        self._cores = torch.get_num_threads()
        self.count = min(self._cores, MOST_WORKERS)
        each = (self._cores // self.count,)
        self._pool = ThreadPoolExecutor(self.count, "judge", initializer=torch.set_num_threads, initargs=each)

    def map(self, function: Callable[[Part], Result], parts: Iterable[Part]) -> list[Result]:
        """The results in the order of the parts."""
        return list(self._pool.map(function, parts))

    def close(self) -> None:
        self._pool.shutdown()
        # What a worker set for itself is also the default of threads that are yet to start, and of one library.
        torch.set_num_threads(self._cores)
