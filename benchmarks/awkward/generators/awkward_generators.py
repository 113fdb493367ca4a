"""Generators that a clock finds hard. They sleep instead of computing, and make noise.

They come in as a competitor's would: by entry points of a package on PYTHONPATH.
"""

import os
import time

import torch
from torch import Tensor

from submission.contract.generator import Generator, GeneratorInfo, LoadContext

BATCH_S, IMAGE_S = 0.02, 0.006
THROTTLED_AFTER_S = 8.0
MOST_AT_ONCE = 20


class Sleeper(Generator):
    """A batch takes a fixed time and a time for each image."""

    info = GeneratorInfo(name="sleeper", summary="noise, made slowly", default_batch=64)

    def __init__(self, size: int) -> None:
        self._size = size
        self._first: float | None = None

    @classmethod
    def load(cls, context: LoadContext) -> Generator:
        return cls(context.challenge.size)

    def generate(self, labels_B: Tensor, seeds_B: Tensor, steps: int) -> Tensor:
        time.sleep(self.slowdown() * (BATCH_S + IMAGE_S * len(labels_B)))
        self._first = self._first or time.monotonic()
        draws = [torch.Generator().manual_seed(int(seed)) for seed in seeds_B]
        shape = (3, self._size, self._size)
        return torch.stack([torch.randint(256, shape, generator=each, dtype=torch.uint8) for each in draws])

    def slowdown(self) -> float:
        return 1.0


class Throttled(Sleeper):
    """Like a card that gets too hot: its batches take twice as long from one moment on."""

    def slowdown(self) -> float:
        return 2.0 if self._first and time.monotonic() - self._first > THROTTLED_AFTER_S else 1.0


class SlowFirst(Sleeper):
    """Like one that compiles: the first batch takes ten times what a full one takes later."""

    def slowdown(self) -> float:
        if self._first is None:
            time.sleep(10 * (BATCH_S + IMAGE_S * self.info.default_batch))
        return 1.0


class Hungry(Sleeper):
    """Has memory for so many images and no more, and says so as PyTorch does."""

    def generate(self, labels_B: Tensor, seeds_B: Tensor, steps: int) -> Tensor:
        if len(labels_B) > MOST_AT_ONCE:
            raise torch.OutOfMemoryError("out of memory: no room for so many")
        return super().generate(labels_B, seeds_B, steps)


class Fragile(Sleeper):
    """Its process dies on a large batch."""

    def generate(self, labels_B: Tensor, seeds_B: Tensor, steps: int) -> Tensor:
        if len(labels_B) > MOST_AT_ONCE:
            os._exit(7)
        return super().generate(labels_B, seeds_B, steps)
