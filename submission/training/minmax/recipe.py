"""The numbers of min-max training, as published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from submission.training.minmax.memory import MemoryOf

Parameters = Literal["full", "difffit", "lora"]


@dataclass(frozen=True)
class MinMaxRecipe:
    """The numbers of a training.

    Attributes:
        lambda_r, lambda_d: weights of the representativeness and the diversity loss in equation 4.
        memory: features in each memory, N_M and N_D of the paper.
        memory_of: whether memories are of a class or of the mini-batches just before, whatever their classes.
        parameters: what is trained; see `submission.training.minmax.parameters`.
        rank: of LoRA's matrices.
        epochs, batch: batch is in images.
        rate: of Adam, constant. (AdamW without weight decay is Adam.)
        label_dropout: share of the images that are trained without their label, as guidance needs it.
    """

    lambda_r: float
    lambda_d: float
    memory: int
    memory_of: MemoryOf
    parameters: Parameters
    rank: int
    epochs: float
    batch: int
    rate: float
    label_dropout: float = 0.1

    def __post_init__(self) -> None:
        for name in ("memory", "rank", "epochs", "batch", "rate"):
            if getattr(self, name) <= 0:
                raise ValueError(f"--{name} must be above 0, not {getattr(self, name)}")
        for name in ("lambda_r", "lambda_d"):
            if getattr(self, name) < 0:
                raise ValueError(f"--{name.replace('_', '-')} must not be below 0, not {getattr(self, name)}")


# "paper": Fan et al. 2024, section 3.2, with memories per class; "cvpr": Gu et al., "Efficient Dataset Distillation via
# Minimax Diffusion", CVPR 2024.
#                        lambda_r lambda_d memory of       parameters rank epochs batch rate
PRESETS = {
    "paper": MinMaxRecipe(1e-3,    2e-3,    64,   "class", "full",    16,  8,     8,    1e-4),
    "cvpr":  MinMaxRecipe(2e-3,    8e-3,    64,   "class", "difffit", 16,  8,     8,    1e-3),
}  # fmt: skip
