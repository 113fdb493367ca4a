"""`real`: random real training images, the baseline that every generator is held against."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from submission.contract.generator import GeneratorInfo, LoadContext, Selector


class Real(Selector):
    """Each class's training images in a random order, none twice."""

    info = GeneratorInfo(
        name="real",
        summary="random real training images, the baseline of every report",
        default_batch=256,
        needs_training_images=True,
        copies=True,
        licence="that of the data set",
    )

    def __init__(self, images_NCHW: np.ndarray, choices: list[np.ndarray]) -> None:
        self.images_NCHW = images_NCHW
        self.choices = choices

    @classmethod
    def load(cls, context: LoadContext) -> Real:
        images = context.read_training_images()
        rng = np.random.default_rng(context.seed)
        classes = range(context.challenge.classes)
        return cls(images.images, [rng.permutation(np.flatnonzero(images.labels == label)) for label in classes])

    def available(self) -> int:
        return min(map(len, self.choices))

    def select(self, labels_B: Tensor, indices_B: Tensor) -> Tensor:
        chosen = [self.choices[label][index] for label, index in zip(labels_B, indices_B, strict=True)]
        return torch.from_numpy(self.images_NCHW[chosen])
