"""A plugin that fails in its third batch as FAULT says, or does not come so far; only in the worker's own process."""

import os
import signal
import sys
import time

import torch
from torch import Tensor

from submission.contract.generator import Generator, GeneratorInfo, LoadContext

FAULT = os.environ.get("FAULT", "") if "submission.worker.worker" in sys.orig_argv else ""


def hang() -> None:
    while True:
        time.sleep(60)


if FAULT == "hang_at_import":
    hang()


class Faulty(Generator):
    info = GeneratorInfo(name="faulty", summary="noise, and then a fault", default_batch=10)

    def __init__(self, size: int) -> None:
        self._size, self._batches = size, 0

    @classmethod
    def load(cls, context: LoadContext) -> Generator:
        if FAULT == "hang_at_load":
            hang()
        return cls(context.challenge.size)

    def generate(self, labels_B: Tensor, seeds_B: Tensor, steps: int) -> Tensor:
        self._batches += 1
        if self._batches >= 3:
            self._fail()
        draws = [torch.Generator().manual_seed(int(seed)) for seed in seeds_B]
        shape = (3, self._size, self._size)
        images = torch.stack([torch.randint(256, shape, generator=each, dtype=torch.uint8) for each in draws])
        return images.float() / 0 if FAULT == "not_a_number" and self._batches >= 3 else images

    def _fail(self) -> None:
        if FAULT == "hang_in_a_batch":
            hang()
        if FAULT == "raise_in_a_batch":
            raise RuntimeError("device-side assert triggered")
        if FAULT == "exit_in_a_batch":
            os._exit(7)
        if FAULT == "out_of_memory":
            raise torch.OutOfMemoryError("out of memory: no room for so many")
        if FAULT == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if FAULT == "stopped":
            os.kill(os.getpid(), signal.SIGSTOP)
