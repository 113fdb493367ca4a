"""What the commands that train the project's own network share: options, checkpoints, a session, an export."""

from __future__ import annotations

import argparse
import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from evaluation.base.challenge import Challenge, get_challenge
from evaluation.base.files import write_text
from evaluation.base.images import ImageSet
from evaluation.data.datasets import data_folder, load_split
from submission.contract.precision import fastest_precision
from submission.contract.weights import WeightsHeader, save_weights
from submission.diffusion.networks.denoiser import SIGMA_DATA
from submission.diffusion.networks.unet import UNet, count_macs, count_parameters
from submission.generators.native import Native
from submission.training.common.arguments import add_piece_arguments
from submission.training.common.checkpoint import begin_or_resume, save_checkpoint
from submission.training.common.grid import save_grid
from submission.training.common.held_out import hold_out
from submission.training.common.quick_judge import quick_accuracy
from submission.training.common.session import Session
from submission.training.native.choose import make_some
from submission.training.native.diffusion import DeviceData, DiffusionTraining
from submission.training.native.model import Model, resumed_model

GRID = 10  # images a side of a grid of samples
QUICK_IPC = 10  # images of each class for the quick judge


@dataclass(frozen=True)
class Start:
    """What a training begins with: `network` has seen `images_seen` images of those that `model.recipe` counts."""

    model: Model
    network: UNet
    images_seen: int = 0


@dataclass(frozen=True)
class Work:
    """A training and all that belongs to it.

    Attributes:
        trained_on: images of the training split that it may see; `held_out` are the others.
        out: folder for everything written.
        dtype: what the network computes in, on `device`.
        macs: multiply-accumulates of one evaluation of one image.
    """

    training: DiffusionTraining
    model: Model
    challenge: Challenge
    held_out: ImageSet
    trained_on: int
    out: Path
    device: str
    dtype: torch.dtype
    macs: int

    @property
    def per_class(self) -> int:
        """Images of each class that a choice between samplers is made on."""
        return 50 if self.device != "cpu" or self.challenge.classes <= 10 else 5


class Command(ABC):
    """One way of training."""

    name: str

    def precision(self, device: str) -> torch.dtype:
        """What the network computes in while it trains."""
        return fastest_precision(device)

    @abstractmethod
    def start(self, args: argparse.Namespace, challenge: Challenge) -> Start:
        """The model to begin with. Raises ValueError for options or weights that do not fit."""

    @abstractmethod
    def build(
        self, network: UNet, model: Model, data: DeviceData, dtype: torch.dtype, images_seen: int = 0
    ) -> DiffusionTraining:
        """The training of `network`, which is on the device of `data`."""

    @abstractmethod
    def sampler(self, work: Work) -> tuple[Native, int]:
        """A generator with the weights as they are now, and its steps, to look at on the way."""

    @abstractmethod
    def export(self, work: Work) -> Path:
        """Choose on the held-out images, and write the weights file; returns its path."""

    def run(self, args: argparse.Namespace) -> int:
        """Train and export. Returns the exit code: 0, or 130 where a signal ended the session.

        Raises:
            ValueError: options, data, checkpoint or weights do not fit; the sentence says what to do.
        """
        challenge = get_challenge(args.dataset)
        out = args.out or Path("runs") / f"{self.name}-{challenge.name}"
        checkpoint, saved = begin_or_resume(out, args.resume, args.device)
        train, held_out = hold_out(load_split(challenge, "train", data_folder(args.data)))
        data = DeviceData.put(train, args.device)
        dtype = self.precision(args.device)
        if saved:
            model = resumed_model(saved, args, challenge, checkpoint, self.name)
            start = Start(model, model.build(challenge))
        else:
            start = self.start(args, challenge)
        training = self.build(start.network.to(args.device), start.model, data, dtype, start.images_seen)
        if saved:
            training.restore(saved["state"])
        macs = count_macs(training.network)
        if args.compile:
            training.compile()
        work = Work(training, start.model, challenge, held_out, len(train), out, args.device, dtype, macs)
        _announce(work)
        if not self._session(work, checkpoint, None if args.minutes is None else 60 * args.minutes).run():
            print(
                f"stopped after {training.images:,} images; go on with the same command and --resume", file=sys.stderr
            )
            return 130
        print(self.export(work))
        return 0

    def _session(self, work: Work, checkpoint: Path, seconds: float | None) -> Session:
        training, model, challenge = work.training, work.model, work.challenge

        def save() -> None:
            told = {"command": self.name, "challenge": challenge.name, "model": asdict(model)}
            save_checkpoint(checkpoint, {**told, "state": training.state()})

        def picture() -> None:
            generator, steps = self.sampler(work)
            seeds = torch.arange(GRID * GRID)
            images = generator.generate(seeds % challenge.classes, seeds, steps)
            save_grid(work.out / "samples" / f"{training.images:012d}.png", images, GRID)

        def judge() -> float:
            generator, steps = self.sampler(work)
            made = make_some(partial(generator.generate, steps=steps), challenge.classes, QUICK_IPC)
            return quick_accuracy(made, work.held_out, challenge, work.device)

        work.out.mkdir(parents=True, exist_ok=True)
        flop = training.evaluations * 2.0 * work.macs
        return Session(training, work.out / "loss.jsonl", save, picture, seconds, judge, flop)


def add_session_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """The options of every training of a network of `native`; `name` is the command's."""
    add_piece_arguments(parser, name)
    parser.add_argument("--images", type=int, help="images to see in all; default: the preset's")
    parser.add_argument("--batch", type=int, help="images a step; default: the preset's")
    parser.add_argument("--rate", type=float, help="highest learning rate; default: the preset's")
    parser.add_argument("--compile", action="store_true", help="compile the network first; pays on a GPU")


def write_export(work: Work, average: int, told: Mapping[str, Any], choice: Mapping[str, Any]) -> Path:
    """Write average number `average` of the weights with what the header tells of it, and the choice beside it."""
    header = WeightsHeader(
        generator="native",
        challenge=work.challenge.name,
        class_names=work.challenge.class_names,
        data=f"{work.trained_on:,} images of the training split of {work.challenge.title}, nothing else",
        licence="Apache-2.0",
        seed=work.model.seed,
        model={
            "preset": work.model.preset,
            "network": work.model.network,
            "sigma_data": SIGMA_DATA,
            "ema_half_life": work.training.half_life(average),
            **told,
        },
    )
    path = work.out / f"native-{work.challenge.name}.safetensors"
    save_weights(path, work.training.averaged(average).state_dict(), header)
    write_text(work.out / "choice.json", json.dumps(choice, indent=2) + "\n")
    return path


def _announce(work: Work) -> None:
    network, model = work.training.network, work.model
    print(
        f"{model.preset} for {work.challenge.title}: {count_parameters(network) / 1e6:.2f}M parameters,"
        f" {work.macs / 1e9:.3f} GMACs; {work.training.images:,} of {model.recipe.images:,} images seen;"
        f" batch {model.recipe.batch}, seed {model.seed}, {work.device}; writing to {work.out}",
        file=sys.stderr,
        flush=True,
    )
