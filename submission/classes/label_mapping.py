"""From a challenge's labels to those of a model that counts other classes, several of which may stand for one label."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from submission.contract.seeded import uniform

SKIP = 1  # of a seed's sequence the first number chooses; an image's noise begins after it


class LabelChoice:
    """The model's label of each image: where several stand for the image's label, its seed chooses, each as often."""

    def __init__(self, choices: Sequence[Sequence[int]], device: str) -> None:
        """`choices` holds the model's labels, one at least, for each label of the challenge."""
        assert all(choices), "every label has a counterpart"
        self.count_C = torch.tensor([len(labels) for labels in choices], device=device)
        self.first_C = self.count_C.cumsum(0) - self.count_C
        self.labels_N = torch.tensor([label for labels in choices for label in labels], device=device)

    def __call__(self, labels_B: Tensor, seeds_B: Tensor) -> Tensor:
        """int64 (B,), on the device that the choices are on, as are the labels and the seeds."""
        place_B = (uniform(seeds_B, SKIP)[:, 0] * self.count_C[labels_B]).long()
        return self.labels_N[self.first_C[labels_B] + place_B]
