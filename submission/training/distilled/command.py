"""`python -m submission.training distilled`: learn the prototypes of `distilled`, in one go or in pieces."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet, content_hash
from evaluation.base.progress_bar import progress_bar
from evaluation.data.datasets import data_folder, load_split
from evaluation.judge.fast_engine import features
from submission.contract.pixels import resize_uint8
from submission.contract.weights import export_weights
from submission.generators.distilled import Distilled, StoredPrototypes
from submission.training.common.command import TrainingRun, resumed
from submission.training.common.held_out import split_held_out
from submission.training.common.options import SessionOptions
from submission.training.distilled.experts import experts_for
from submission.training.distilled.groups import feature_groups, start_means
from submission.training.distilled.optimise import Optimisation, Recipe
from submission.training.distilled.quantise import herded
from submission.training.distilled.targets import digest, kept, targets_for

EXAMPLES = """
examples:
  python -m submission.training distilled --dataset cifar100 --data DIR --out DIR --minutes 60
  ... then as often as needed:  the same with --resume                  each piece ends with usable weights
"""
_AGES = (0, 1, 2, 4, 8, 16)
RECIPES = {
    "digits": Recipe(16, False, False, 3, (0, 2, 8, 32), groups=1, steps=200, stored_steps=40, components=300),
    "cifar100": Recipe(64, True, True, 8, _AGES, groups=10, steps=250, stored_steps=50, components=500),
    "tiny-imagenet": Recipe(50, True, True, 4, _AGES, groups=8, steps=200, stored_steps=40, components=300),
}
_GROUPING_NETWORKS = 2  # whose oldest experts say which images resemble each other


class DistilledRun(TrainingRun):
    """Training of the prototypes in pieces."""

    verb = "distilled"
    examples = EXAMPLES
    recipe = Recipe
    defaults = "the challenge's"
    training: Optimisation

    def begin(self, options: SessionOptions, saved: Mapping[str, Any] | None, changes: Mapping[str, Any]) -> None:
        if saved:
            recipe = resumed(Recipe(**saved["recipe"]), changes, None, self.out)
        else:
            recipe = replace(RECIPES[self.challenge.name], **changes)
        self.seed = saved["seed"] if saved else options.seed
        train, self.held_out = split_held_out(load_split(self.challenge, "train", data_folder(options.data)))
        self.trained_on = len(train)
        self.training = prepared(train, self.challenge, recipe, self.seed, self.device, self.out)
        views = f"{len(self.training.targets)} views of {recipe.networks} networks"
        self.summary = f"{recipe.prototypes} prototypes a class, {views}, seed {self.seed}"
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
            vars(in_order(self.training)),
            trained_on=self.trained_on,
            seed=self.seed,
            model={"mirrored": recipe.mirrored, "recipe": asdict(recipe), "steps_done": steps_done},
        )

    def close(self) -> None:
        self.training.close()


def prepared(
    train: ImageSet, challenge: Challenge, recipe: Recipe, seed: int, device: str, folder: Path
) -> Optimisation:
    """The training before its first step; the experts, groups and targets that `folder` has are not made again.

    Raises ValueError if a file in `folder` is damaged, or the recipe asks for more than a class has.
    """
    with progress_bar("Training experts") as update:
        experts = experts_for(train, challenge, recipe.networks, recipe.ages, seed, device, folder / "experts", update)
    oldest = [e for e in experts if e.age == max(recipe.ages) and e.network < _GROUPING_NETWORKS]
    identity = {
        "images": content_hash(train),
        "experts": digest(weight for expert in oldest for weight in expert.weights.values()),
        "groups": [recipe.groups, recipe.group_images, recipe.mirrored, seed],
    }
    of = (train, challenge, oldest, recipe.groups, recipe.group_images, recipe.mirrored, seed, device)
    group_N: Tensor = kept(folder / f"groups-{recipe.groups}.pt", identity, "cpu", lambda: feature_groups(*of))
    with progress_bar("Measuring features of real images") as update:
        cache = folder / f"targets-{recipe.groups}"
        targets = targets_for(train, challenge, experts, group_N, recipe.mirrored_targets, device, cache, update)
    start_CK3HW, group_CK = start_means(train, group_N, recipe.prototypes, recipe.start_images, seed, device)
    return Optimisation(start_CK3HW, group_CK, targets, recipe, challenge, seed, device)


def generator_of(training: Optimisation) -> Distilled:
    """The generator of the prototypes as they are now, through the storage once the training goes through it."""
    return Distilled(training.levels(), mirrored=training.recipe.mirrored)


@torch.no_grad()
def in_order(training: Optimisation) -> StoredPrototypes:
    """The prototypes of each class in the order that a run shows them, herded in what the oldest experts see."""
    stored = training.stored()
    experts = {target.expert.network: target.expert for target in training.targets}  # the oldest of each is the last
    codes_CKP = stored.codes_CKP.clone()
    for label, levels_K3HW in enumerate(stored.decode().clamp(0, 255)):
        x_K3HW = training.viewed((levels_K3HW / 255 - training.mean) / training.std, mirrored=False)
        views = (features(x_K3HW, e.weights, training.dtype, training.norm_relu_pool) for e in experts.values())
        codes_CKP[label] = stored.codes_CKP[label, herded(torch.cat(list(views), 1)).to(codes_CKP.device)]
    return replace(stored, codes_CKP=codes_CKP)
