"""`python -m submission.training distill`: tune trained weights of `native` to make images in one or two steps."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch

from evaluation.base.challenge import Challenge
from submission.contract.weights import find_weights_file, load_weights
from submission.diffusion.native_model import inference_denoiser, load_tensors
from submission.diffusion.networks.denoiser import Denoiser
from submission.diffusion.networks.unet import UNet
from submission.diffusion.samplers import CONSISTENCY
from submission.generators.native import Native
from submission.training.native.choose import choose, distance_of
from submission.training.native.command import Command, Start, Work, add_session_arguments, write_export
from submission.training.native.consistency import ConsistencyTraining
from submission.training.native.diffusion import DeviceData, DiffusionTraining
from submission.training.native.model import Model, changed_recipe
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
    """One way of sampling the tuned model, and how far the images are from real ones.

    Attributes:
        average: of HALF_LIVES, which one.
        middle: noise level of the second of two steps; with one step it says nothing.
    """

    average: int
    middle: float
    steps: int
    distance: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    add_session_arguments(parser, DistillCommand.name)
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    start.add_argument("--weights", metavar="FILE", help="trained weights of native; default: the shipped ones")


def run(args: argparse.Namespace) -> int:
    """See `Command.run`."""
    return DistillCommand().run(args)


class DistillCommand(Command):
    """Consistency tuning."""

    name = "distill"

    def precision(self, device: str) -> torch.dtype:
        """TF32 on a GPU, since answers are compared that differ by little; on a CPU fp32 takes three times as long."""
        if device == "cpu":
            return super().precision(device)
        torch.set_float32_matmul_precision("high")
        return torch.float32

    def start(self, args: argparse.Namespace, challenge: Challenge) -> Start:
        path = find_weights_file("native", challenge, args.weights)
        tensors, header = load_weights(path, "native", challenge)
        if header.model["solver"] == CONSISTENCY:
            raise ValueError(f"{path} holds a consistency model already; give the weights that it was made from")
        preset = header.model["preset"]
        if preset not in DISTILL_RECIPES:
            raise ValueError(f"{path} is of preset {preset!r}, which no recipe here fits; train it anew with `native`")
        recipe = changed_recipe(DISTILL_RECIPES[preset], args)
        model = Model(preset, dict(header.model["network"]), recipe, args.seed, header.model["images_seen"])
        network = model.build(challenge)
        load_tensors(network, tensors, path)
        return Start(model, network)

    def build(
        self, network: UNet, model: Model, data: DeviceData, dtype: torch.dtype, images_seen: int = 0
    ) -> DiffusionTraining:
        return ConsistencyTraining(network, model.recipe, data, model.seed, dtype, images_seen)

    def sampler(self, work: Work) -> tuple[Native, int]:
        return Native(_denoiser(work, 1), CONSISTENCY, middle=MIDDLES[1]), 2

    def export(self, work: Work) -> Path:
        """Average, middle noise level and steps, all by the distance from held-out images."""
        candidates = []
        for average in range(len(HALF_LIVES)):
            denoiser = _denoiser(work, average)
            for middle, steps in ((MIDDLES[0], 1), *((middle, 2) for middle in MIDDLES)):
                native = Native(denoiser, CONSISTENCY, middle=middle)
                distance = distance_of(partial(native.generate, steps=steps), work.held_out, work.per_class)
                candidates.append(FewSteps(average, middle, steps, distance))
        chosen = choose(candidates)
        # one step has no middle, and whoever asks for two all the same gets the best two
        two = min((c for c in candidates if (c.average, c.steps) == (chosen.average, 2)), key=lambda c: c.distance)
        told = {
            "images_seen": work.model.teacher_images,
            "distilled_images": work.training.images,
            "solver": CONSISTENCY,
            "steps": chosen.steps,
            "middle": two.middle,
        }
        choice = {"candidates": [asdict(candidate) for candidate in candidates], "chosen": asdict(chosen)}
        return write_export(work, chosen.average, told, choice)


def _denoiser(work: Work, average: int) -> Denoiser[UNet]:
    return inference_denoiser(work.training.averaged(average), work.device, work.dtype)
