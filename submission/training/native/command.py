"""What all trainings of the network of `native` have in common: what is trained, on which data, and the export."""

import json
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from evaluation.base.files import write_text
from evaluation.data.datasets import data_folder, load_split
from submission.contract.precision import fastest_precision
from submission.contract.weights import export_weights, read_tensors
from submission.diffusion.networks.denoiser import SIGMA_DATA, Denoiser
from submission.diffusion.networks.unet import UNet, count_macs, count_parameters
from submission.diffusion.pixel_model import build_network, inference_denoiser, load_tensors
from submission.generators.native import Native
from submission.training.common.command import TrainingRun, resumed
from submission.training.common.held_out import split_held_out
from submission.training.common.options import SessionOptions, option
from submission.training.common.preview import make_images
from submission.training.native.diffusion import DeviceData, DiffusionTraining
from submission.training.native.model_selection import class_distance
from submission.training.native.recipes import Recipe


@dataclass(frozen=True, kw_only=True)
class NetworkOptions(SessionOptions):
    """The options of every training of the network, beside those of a recipe."""

    compile: bool = field(default=False, metadata=option("compile the network first; pays on a GPU"))


@dataclass(frozen=True)
class Model:
    """What is trained: fixed at the beginning and carried by each checkpoint.

    Attributes:
        preset: a key of `PRESETS`.
        network: the network's shape, a UNetConfig as JSON.
        teacher_images: seen in the training of the weights that consistency tuning begins with.
    """

    preset: str
    network: Mapping[str, Any]
    recipe: Recipe
    seed: int
    teacher_images: int = 0


class NetworkRun(TrainingRun):
    """A training of the network in pieces. A subclass is one way of training it."""

    recipe = Recipe
    training_class: type[DiffusionTraining] = DiffusionTraining
    training: DiffusionTraining

    def begin(self, options: Any, saved: Mapping[str, Any] | None, changes: Mapping[str, Any]) -> None:
        train, self.held_out = split_held_out(load_split(self.challenge, "train", data_folder(options.data)))
        self.trained_on = len(train)
        self.dtype = self.precision()
        begun = (self._resumed(saved, changes), None, 0) if saved else self.start(options, changes)
        self.model, weights, images_seen = begun
        model = self.model
        torch.manual_seed(model.seed)
        network = build_network(model.network, self.challenge, model.recipe.dropout)
        if weights:
            load_tensors(network, read_tensors(weights), weights)
        network = network.to(self.device)
        data = DeviceData.put(train, self.device)
        self.training = self.training_class(network, model.recipe, data, model.seed, self.dtype, images_seen)
        macs = count_macs(network)
        self.flop = self.training.evaluations * 2.0 * macs
        if options.compile:
            network.compile()
        parameters = f"{count_parameters(network) / 1e6:.2f}M parameters, {macs / 1e9:.3f} GMACs"
        self.summary = f"{model.preset}, {parameters}, seed {model.seed}"
        self.identity = {"command": self.verb, "model": asdict(model)}

    def precision(self) -> torch.dtype:
        """What the network computes in while it trains."""
        return fastest_precision(self.device)

    @abstractmethod
    def start(self, options: Any, changes: Mapping[str, Any]) -> tuple[Model, Path | None, int]:
        """What to train, from which weights (None for random ones), and the images they have seen of the recipe's.

        Raises ValueError for options or weights that do not fit.
        """

    def distance(self, sampler: Native, steps: int) -> float:
        """How far images of every class are from the held-out ones; see `class_distance`."""
        assert self.held_out is not None
        per_class = 50 if self.device != "cpu" or self.challenge.classes <= 10 else 5
        made = make_images(partial(sampler.generate, steps=steps), self.challenge.classes, per_class)
        return class_distance(made, self.held_out)

    def denoiser(self, average: int) -> Denoiser[UNet]:
        """With average number `average` of the weights, for sampling."""
        return inference_denoiser(self.training.averaged(average), self.device, self.dtype)

    def write(self, average: int, facts: Mapping[str, Any], choice: Mapping[str, Any]) -> Path:
        """Write average number `average` of the weights with `facts` of it in the header, and the choice beside it."""
        model = {
            "preset": self.model.preset,
            "network": self.model.network,
            "sigma_data": SIGMA_DATA,
            "ema_half_life": self.training.half_life(average),
            **facts,
        }
        tensors, seed = self.training.averaged(average).state_dict(), self.model.seed
        path = export_weights(
            self.out, "native", self.challenge, tensors, trained_on=self.trained_on, seed=seed, model=model
        )
        write_text(self.out / "choice.json", json.dumps(choice, indent=2) + "\n")
        return path

    def _resumed(self, saved: Mapping[str, Any], changes: Mapping[str, Any]) -> Model:
        """The model of a checkpoint; only the number of images to see may change."""
        if (verb := saved.get("command", "native")) != self.verb:
            raise ValueError(f"the checkpoint in {self.out} is of the command {verb!r}; go on with that")
        recipe = resumed(Recipe, saved["model"]["recipe"], changes, "images", self.out)
        return Model(**{**saved["model"], "recipe": recipe})
