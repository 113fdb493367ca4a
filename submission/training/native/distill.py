"""`python -m submission.training distill`: tune trained weights of `native` to make images in one or two steps."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from submission.contract.weights import find_weights_file, load_weights
from submission.diffusion.samplers import CONSISTENCY
from submission.generators.native import Native
from submission.training.common.options import option
from submission.training.native.command import Model, NetworkOptions, NetworkRun
from submission.training.native.consistency import ConsistencyTraining
from submission.training.native.model_selection import fewest_steps
from submission.training.native.recipes import DISTILL_RECIPES, HALF_LIVES

EXAMPLES = """
examples:
  python -m submission.training distill --dataset digits                                  the shipped weights
  python -m submission.training distill --dataset cifar100 --data DIR --weights FILE --minutes 9
  ... then as often as needed:  the same with --resume instead of --weights     each piece ends with usable weights
"""

MIDDLES = (0.4, 0.8, 1.6, 3.2, 6.4)  # noise levels to try for the second of two steps


@dataclass(frozen=True)
class FewSteps:
    """A way of sampling the tuned model, with average `average` of HALF_LIVES, and its distance from real images.

    `middle` is the noise level of the second of two steps; with one step it says nothing.
    """

    average: int
    middle: float
    steps: int
    distance: float


@dataclass(frozen=True, kw_only=True)
class DistillOptions(NetworkOptions):
    """The options of consistency tuning."""

    weights: str | None = field(
        default=None, metadata=option("trained weights of native, a file; default: the shipped ones")
    )

    def __post_init__(self) -> None:
        if self.resume and self.weights:
            raise ValueError("--resume goes on from the checkpoint in --out; leave out --weights")


class DistillRun(NetworkRun):
    """Consistency tuning."""

    verb = "distill"
    examples = EXAMPLES
    options = DistillOptions
    training_class = ConsistencyTraining

    def precision(self) -> torch.dtype:
        """TF32 on a GPU, since answers are compared that differ by little; on a CPU fp32 takes three times as long."""
        if self.device == "cpu":
            return super().precision()
        torch.set_float32_matmul_precision("high")
        return torch.float32

    def start(self, options: DistillOptions, changes: Mapping[str, Any]) -> tuple[Model, Path | None, int]:
        path = find_weights_file("native", self.challenge, options.weights)
        _, header = load_weights(path, "native", self.challenge)
        teacher = header.model
        if teacher["solver"] == CONSISTENCY:
            raise ValueError(f"{path} holds a consistency model already; give the weights that it was made from")
        if teacher["preset"] not in DISTILL_RECIPES:
            raise ValueError(f"{path} is of preset {teacher['preset']!r}, which no recipe here fits; train it anew")
        recipe = replace(DISTILL_RECIPES[teacher["preset"]], **changes)
        model = Model(teacher["preset"], teacher["network"], recipe, options.seed, teacher["images_seen"])
        return model, path, 0

    def generate(self, labels_B: Tensor, seeds_B: Tensor) -> Tensor:
        return Native(self.denoiser(1), CONSISTENCY, middle=MIDDLES[1]).generate(labels_B, seeds_B, 2)

    def export(self) -> Path:
        """Average, middle noise level and steps, all by the distance from held-out images."""
        candidates = []
        for average in range(len(HALF_LIVES)):
            denoiser = self.denoiser(average)
            for middle, steps in ((MIDDLES[0], 1), *((middle, 2) for middle in MIDDLES)):
                distance = self.distance(Native(denoiser, CONSISTENCY, middle=middle), steps)
                candidates.append(FewSteps(average, middle, steps, distance))
        chosen = fewest_steps(candidates)
        # one step has no middle, and whoever asks for two all the same gets the best two
        two = min((c for c in candidates if (c.average, c.steps) == (chosen.average, 2)), key=lambda c: c.distance)
        facts = {
            "images_seen": self.model.teacher_images,
            "distilled_images": self.training.images,
            "solver": CONSISTENCY,
            "steps": chosen.steps,
            "middle": two.middle,
        }
        choice = {"candidates": [asdict(candidate) for candidate in candidates], "chosen": asdict(chosen)}
        return self.write(chosen.average, facts, choice)
