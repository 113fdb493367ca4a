"""`python -m submission.training matched`: train the clusters of `matched`, in one go or in pieces."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from evaluation.base.progress_bar import progress_bar
from evaluation.data.datasets import data_folder, load_split
from submission.contract.pixels import resize_uint8
from submission.contract.weights import export_weights
from submission.distillation.clusters import LARGEST_SIZE
from submission.generators.gaussian import Gaussian
from submission.training.common.command import TrainingRun, resumed
from submission.training.common.held_out import split_held_out
from submission.training.common.options import SessionOptions
from submission.training.mixtures.experts import experts_for
from submission.training.mixtures.matching import Matching, MatchRecipe, fitted

EXAMPLES = """
examples:
  python -m submission.training matched --dataset cifar100 --data DIR --out DIR --minutes 60
  ... then as often as needed:  the same with --resume                  each piece ends with usable weights
"""
RECIPES = {
    "digits": MatchRecipe(100, 20, False, 0.5, experts=3, ages=(0, 2, 8, 32), steps=600),
    "cifar100": MatchRecipe(300, 64, True, 0.5, experts=4, ages=(0, 1, 2, 4), steps=800),
    "tiny-imagenet": MatchRecipe(300, 16, True, 0.25, experts=2, ages=(0, 1, 2), steps=300),
}


class MatchedRun(TrainingRun):
    """Training of the clusters in pieces."""

    verb = "matched"
    examples = EXAMPLES
    recipe = MatchRecipe
    defaults = "the challenge's"
    training: Matching

    def begin(self, options: SessionOptions, saved: Mapping[str, Any] | None, changes: Mapping[str, Any]) -> None:
        challenge, device = self.challenge, self.device
        if saved:
            begun = MatchRecipe(**{**saved["recipe"], "ages": tuple(saved["recipe"]["ages"])})
            recipe = resumed(begun, changes, None, self.out)
        else:
            recipe = replace(RECIPES[challenge.name], **changes)
        self.seed = saved["seed"] if saved else options.seed
        images, self.held_out = split_held_out(load_split(challenge, "train", data_folder(options.data)))
        self.trained_on = len(images)
        with progress_bar("Training experts") as update:
            experts = experts_for(
                images,
                challenge,
                count=recipe.experts,
                ages=recipe.ages,
                mirrored=recipe.mirrored,
                seed=self.seed,
                device=device,
                cache=self.out / "experts.pt",
                on_progress=lambda fraction: update(fraction, f"{recipe.experts} networks"),
            )
        self.size = min(challenge.size, LARGEST_SIZE)
        mixture = fitted(images, recipe, self.seed, device)
        self.training = Matching(mixture, self.size, experts, recipe, challenge, self.seed, device)
        self.summary = f"{recipe.clusters} clusters a class, {len(experts)} experts, seed {self.seed}"
        self.identity = {"recipe": asdict(recipe), "seed": self.seed}

    def generate(self, labels_B: Tensor, seeds_B: Tensor) -> Tensor:
        generator = Gaussian(self.training.matched(), self.size, self.training.recipe.spread)
        return resize_uint8(generator.generate(labels_B, seeds_B, 1), self.challenge.size)

    def export(self) -> Path:
        recipe = self.training.recipe
        return export_weights(
            self.out,
            "matched",
            self.challenge,
            vars(self.training.matched()),
            trained_on=self.trained_on,
            seed=self.seed,
            model={
                "size": self.size,
                "spread": recipe.spread,
                "recipe": asdict(recipe),
                "steps_done": self.training.steps_done,
            },
        )

    def close(self) -> None:
        self.training.close()
