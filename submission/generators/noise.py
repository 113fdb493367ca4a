"""`noise`: the control. Uniform noise says nothing of its label, so it must score chance."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from submission.contract.generator import Generator, GeneratorInfo, LoadContext


class Noise(Generator):
    """Independent uniform 8-bit pixels."""

    info = GeneratorInfo(
        name="noise",
        summary="uniform noise, the control that must score chance",
        parts=True,
        default_batch=256,
    )

    def __init__(self, size: int) -> None:
        self.size = size

    @classmethod
    def load(cls, context: LoadContext) -> Noise:
        return cls(context.challenge.size)

    def generate(self, labels_B: Tensor, seeds_B: Tensor, steps: int) -> Tensor:
        shape = (3, self.size, self.size)
        images = [np.random.default_rng(seed).integers(0, 256, shape, np.uint8) for seed in seeds_B.tolist()]
        return torch.from_numpy(np.stack(images))
