"""`python -m submission.training distilled`: learn the prototypes of `distilled`, in one go or in pieces."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from evaluation.data.datasets import data_folder, load_split
from submission.contract.pixels import resize_uint8
from submission.contract.weights import export_weights
from submission.distillation.optimise import Optimisation
from submission.distillation.prepare import prepared, shown_order
from submission.distillation.recipe import RECIPES, Recipe
from submission.distillation.stored import StoredPrototypes
from submission.generators.distilled import Distilled
from submission.training.common.command import TrainingRun, resumed
from submission.training.common.held_out import split_held_out
from submission.training.common.options import SessionOptions

EXAMPLES = """
examples:
  python -m submission.training distilled --dataset cifar100 --data DIR --out DIR --minutes 60
  ... then as often as needed:  the same with --resume                  each piece ends with usable weights
"""


class DistilledRun(TrainingRun):
    """Training of the prototypes in pieces."""

    verb = "distilled"
    examples = EXAMPLES
    recipe = Recipe
    defaults = "the challenge's"
    training: Optimisation

    def begin(self, options: SessionOptions, saved: Mapping[str, Any] | None, changes: Mapping[str, Any]) -> None:
        if saved:
            recipe = resumed(Recipe, saved["recipe"], changes, None, self.out)
        else:
            recipe = replace(RECIPES[self.challenge.name], **changes)
        self.seed = saved["seed"] if saved else options.seed
        train, self.held_out = split_held_out(load_split(self.challenge, "train", data_folder(options.data)))
        self.trained_on = len(train)
        self.training = prepared(train, self.challenge, recipe, self.seed, self.device, self.out)
        targets = f"{len(self.training.targets)} targets of {recipe.networks} networks"
        self.summary = f"{recipe.prototypes} prototypes a class, {targets}, seed {self.seed}"
        self.identity = {"recipe": asdict(recipe), "seed": self.seed}

    def generate(self, labels_B: Tensor, seeds_B: Tensor) -> Tensor:
        generator = generator_of(self.training)
        return resize_uint8(generator.generate(labels_B, seeds_B, 1), self.challenge.size)

    def export(self) -> Path:
        recipe, steps_done = self.training.recipe, self.training.steps_done
        return export_weights(
            self.out,
            "distilled",
            self.challenge,
            in_order(self.training).packed(),
            trained_on=self.trained_on,
            seed=self.seed,
            model={"mirrored": recipe.mirrored, "recipe": asdict(recipe), "steps_done": steps_done},
        )

    def close(self) -> None:
        self.training.close()


def generator_of(training: Optimisation) -> Distilled:
    """The generator of the prototypes as they are now, through the storage once the training goes through it."""
    return Distilled(training.levels(), mirrored=training.recipe.mirrored)


def in_order(training: Optimisation) -> StoredPrototypes:
    """The prototypes of each class as they are stored, in the order that a run shows them."""
    stored = training.stored()
    order_CK = shown_order(training, stored.decode()).to(stored.codes_CK3HW.device)
    return replace(stored, codes_CK3HW=stored.codes_CK3HW.take_along_dim(order_CK[..., None, None, None], 1))
