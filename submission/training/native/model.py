"""What is trained, and how: fixed when a training begins, and read again from its checkpoints."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from evaluation.base.challenge import Challenge
from submission.diffusion.native_model import build_network
from submission.diffusion.networks.unet import UNet
from submission.training.native.recipes import Recipe


@dataclass(frozen=True)
class Model:
    """What is trained: fixed at the beginning and carried by each checkpoint.

    Attributes:
        preset: a key of `PRESETS`.
        network: the network's shape, a UNetConfig as JSON.
        recipe: how it is trained.
        seed: of all that is random.
        teacher_images: seen in the training of the weights that consistency tuning begins with.
    """

    preset: str
    network: dict[str, Any]
    recipe: Recipe
    seed: int
    teacher_images: int = 0

    def build(self, challenge: Challenge) -> UNet:
        torch.manual_seed(self.seed)
        return build_network(self.network, challenge, self.recipe.dropout)


def changed_recipe(recipe: Recipe, args: argparse.Namespace) -> Recipe:
    """`recipe` with what the options change. Raises ValueError for a number that is not above 0."""
    changed = {name: getattr(args, name) for name in ("images", "batch", "rate") if getattr(args, name) is not None}
    for name, value in changed.items():
        if value <= 0:
            raise ValueError(f"--{name} must be above 0, not {value}")
    return replace(recipe, **changed)


def resumed_model(
    saved: Mapping[str, Any], args: argparse.Namespace, challenge: Challenge, checkpoint: Path, command: str
) -> Model:
    """The model of a checkpoint of `command`; only the number of images to see may change.

    Raises:
        ValueError: the checkpoint is of another challenge or command, or an option would change what is trained.
    """
    if saved.get("challenge") != challenge.name:
        raise ValueError(f"{checkpoint} is of a training for {saved.get('challenge')!r}, not {challenge.name!r}")
    if saved.get("command", "native") != command:
        raise ValueError(f"{checkpoint} is of the command {saved.get('command', 'native')!r}; go on with that")
    told = saved["model"]
    recipe = Recipe(**told["recipe"])
    for name, value in (("batch", recipe.batch), ("rate", recipe.rate)):
        if getattr(args, name) not in (None, value):
            raise ValueError(f"the training in {checkpoint} has --{name} {value}; it cannot change on the way")
    if args.images is not None:
        recipe = replace(recipe, images=args.images)
    return Model(**{**told, "recipe": recipe})
