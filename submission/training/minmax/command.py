"""`python -m submission.training minmax`: fine-tune a DiT with the min-max losses, in one go or in pieces."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evaluation.data.datasets import data_folder, load_split
from submission.contract.hub import find_model
from submission.diffusion.dit import DIT_XL, DiT
from submission.generators.dit import DiTGenerator
from submission.training.common.command import TrainingRun, resumed
from submission.training.common.options import SessionOptions, option
from submission.training.minmax.latents import encode_once
from submission.training.minmax.model import ModelCard, load_for, save_model
from submission.training.minmax.training import PRESETS, MinMaxRecipe, MinMaxTraining

EXAMPLES = """
examples:
  python -m submission.training minmax --dataset cifar100 --data DIR --out DIR                  as in the paper
  python -m submission.training minmax --dataset tiny-imagenet --data DIR --out DIR --preset cvpr --minutes 60
  ... then as often as needed:  the same with --resume                      each piece ends with a usable model
"""
DEFAULT_PRESET = "paper"


@dataclass(frozen=True, kw_only=True)
class MinMaxOptions(SessionOptions):
    """The options of the command, beside those of a recipe."""

    weights: str | None = field(
        default=None, metadata=option(f"DiT to begin with, a folder or hub name; default: {DIT_XL.repository}")
    )
    preset: str | None = field(
        default=None, metadata=option(f"whose numbers; default: {DEFAULT_PRESET}", choices=PRESETS)
    )


class MinMaxRun(TrainingRun):
    """Min-max training of a DiT in pieces."""

    verb = "minmax"
    examples = EXAMPLES
    options = MinMaxOptions
    recipe = MinMaxRecipe
    training: MinMaxTraining
    previewed = 20  # slow to make

    def begin(self, options: MinMaxOptions, saved: Mapping[str, Any] | None, changes: Mapping[str, Any]) -> None:
        if saved:
            of_preset = asdict(PRESETS[options.preset]) if options.preset else {}
            of_preset.pop("epochs", None)  # the preset asks for no more epochs than were begun with
            self.numbers = resumed(MinMaxRecipe, saved["recipe"], {**of_preset, **changes}, "epochs", self.out)
        else:
            self.numbers = replace(PRESETS[options.preset or DEFAULT_PRESET], **changes)
        self.seed = saved["seed"] if saved else options.seed
        self.source = options.weights or (saved["base"] if saved else None)
        self.base = find_model(DIT_XL, self.source)
        images = load_split(self.challenge, "train", data_folder(options.data))
        self.dit = load_for(self.challenge, self.base, options.device)
        latents = encode_once(self.dit, images, self.base / "vae", self.out)
        self.training = MinMaxTraining(self.dit.transformer, self.dit.gammas_T, self.numbers, latents, self.seed)
        trained = sum(parameter.numel() for parameter in self.training.parameters.values())
        self.summary = f"{trained / 1e6:.2f}M parameters ({self.numbers.parameters}), seed {self.seed}"
        self.identity = {"base": self.source, "recipe": asdict(self.numbers), "seed": self.seed}

    def generate(self, labels_B: Tensor, seeds_B: Tensor) -> Tensor:
        """As `dit-minmax` would make them."""
        transformer = self.training.averaged()
        if self.dit.vae.dtype != torch.float32:
            transformer = transformer.half()
        dit = DiT(transformer, self.dit.vae, self.dit.schedule, tuple(range(self.challenge.classes)))
        return DiTGenerator(dit, DiTGenerator.resolve_settings({})).generate(
            labels_B, seeds_B, DiTGenerator.info.default_steps
        )

    def export(self) -> Path:
        """Write the folder `model`."""
        source = self.source
        card = ModelCard(
            challenge=self.challenge.name,
            base=Path(source).name if source and Path(source).is_dir() else source or DIT_XL.repository,
            data=f"{len(self.training.data):,} images of the training split of {self.challenge.title}",
            recipe=asdict(self.numbers),
            images_seen=self.training.images,
            seed=self.seed,
        )
        save_model(self.out / "model", self.training.averaged(), self.base, self.challenge, card)
        return self.out / "model"
