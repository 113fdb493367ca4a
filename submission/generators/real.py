"""`real`: random real training images, the baseline that every generator is held against."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from submission.generator import GeneratorInfo, LoadContext, Selector


class Real(Selector):
    """Each class's training images in a random order, none twice."""

    info = GeneratorInfo(
        name="real",
        summary="random real training images, the baseline of every report",
        default_batch=256,
        needs_training_images=True,
        licence="that of the data set",
    )

    def __init__(self, images_NCHW: np.ndarray, choices: list[np.ndarray]) -> None:
        self.images_NCHW = images_NCHW
        self.choices = choices

    @classmethod
    def load(cls, context: LoadContext) -> Real:
        assert context.training_images is not None, "the job of a generator that needs training images names them"
        with np.load(context.training_images, allow_pickle=False) as stored:
            images_NCHW, labels_N = stored["images"], stored["labels"]
        rng = np.random.default_rng(context.seed)
        classes = range(context.challenge.classes)
        return cls(images_NCHW, [rng.permutation(np.flatnonzero(labels_N == label)) for label in classes])

    def available(self) -> int:
        return min(map(len, self.choices))

    def select(self, labels_B: Tensor, indices_B: Tensor) -> Tensor:
        chosen = [self.choices[label][index] for label, index in zip(labels_B, indices_B, strict=True)]
        return torch.from_numpy(self.images_NCHW[chosen])
