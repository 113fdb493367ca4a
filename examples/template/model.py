"""Your model goes here. This one paints each class in a colour of its own, with noise, so that everything runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SIDES = {"cifar100": 32, "tiny-imagenet": 64, "digits": 16}  # any other size is resized by the judge


class Model:
    """Loads once; loading is on the clock too."""

    def __init__(self, dataset: str, class_names: Sequence[str]) -> None:
        self._side = SIDES[dataset]
        self._colours_C3 = np.random.default_rng(0).uniform(40, 215, (len(class_names), 3))

    def generate(self, labels: Sequence[int], seed: int) -> NDArray[np.uint8]:
        """One picture for each label: uint8 (B, H, W, 3). The same labels and seed give the same pictures."""
        shape = (len(labels), self._side, self._side, 3)
        noise_BHW3 = np.random.default_rng(seed).normal(0.0, 40.0, shape)
        return np.clip(self._colours_C3[list(labels)][:, None, None] + noise_BHW3, 0, 255).astype(np.uint8)
