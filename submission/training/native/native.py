"""`python -m submission.training native`: train the project's own generator, in one go or in pieces."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch

from evaluation.base.challenge import Challenge
from submission.contract.weights import load_weights
from submission.diffusion.native_model import inference_denoiser, load_tensors
from submission.diffusion.networks.unet import PRESETS, UNet
from submission.generators.native import Native
from submission.training.native import choose
from submission.training.native.choose import Candidate, distance_of, held_out_loss
from submission.training.native.command import Command, Start, Work, add_session_arguments, write_export
from submission.training.native.diffusion import DeviceData, DiffusionTraining
from submission.training.native.model import Model, changed_recipe
from submission.training.native.recipes import HALF_LIVES, RECIPES

EXAMPLES = """
examples:
  python -m submission.training native --dataset digits
  python -m submission.training native --dataset cifar100 --data DIR                    two hours on a CPU
  python -m submission.training native --dataset cifar100 --data DIR --preset cifar100-gpu --out DIR --minutes 9
  ... then as often as needed:  the same with --resume                       each piece ends with usable weights
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    add_session_arguments(parser, NativeCommand.name)
    parser.add_argument("--preset", choices=PRESETS, help="shape of the network; default: the challenge's for --device")
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    start.add_argument("--from", dest="weights", type=Path, metavar="FILE", help="go on from a weights file")


def run(args: argparse.Namespace) -> int:
    """See `Command.run`."""
    return NativeCommand().run(args)


class NativeCommand(Command):
    """Diffusion training."""

    name = "native"

    def start(self, args: argparse.Namespace, challenge: Challenge) -> Start:
        tensors, seen, shape, preset = None, 0, None, args.preset
        if args.weights:
            tensors, header = load_weights(args.weights, "native", challenge)
            if preset not in (None, header.model["preset"]):
                raise ValueError(f"{args.weights} is of preset {header.model['preset']!r}; leave out --preset {preset}")
            if "distilled_images" in header.model:
                raise ValueError(f"{args.weights} holds a consistency model; give the weights that it was made from")
            preset, shape, seen = header.model["preset"], header.model["network"], header.model["images_seen"]
        if preset is None:
            kind = "cpu" if args.device == "cpu" else "gpu"
            preset = challenge.name if challenge.name in PRESETS else f"{challenge.name}-{kind}"
        made_for, config = PRESETS[preset]
        if made_for != challenge.name:
            fitting = ", ".join(name for name, (other, _) in PRESETS.items() if other == challenge.name)
            raise ValueError(f"preset {preset} is for {made_for}; for {challenge.name} choose one of: {fitting}")
        model = Model(preset, shape or asdict(config), changed_recipe(RECIPES[preset], args), args.seed)
        network = model.build(challenge)
        if tensors:
            load_tensors(network, tensors, args.weights)
        return Start(model, network, seen)

    def build(
        self, network: UNet, model: Model, data: DeviceData, dtype: torch.dtype, images_seen: int = 0
    ) -> DiffusionTraining:
        return DiffusionTraining(network, model.recipe, data, model.seed, dtype, images_seen)

    def sampler(self, work: Work) -> tuple[Native, int]:
        return Native(inference_denoiser(work.training.averaged(1), work.device, work.dtype), "dpm2m"), 12

    def export(self, work: Work) -> Path:
        """The average by the held-out loss, then solver and steps by the distance from held-out images."""
        training = work.training
        held_data = DeviceData.put(work.held_out, work.device)
        denoisers = [inference_denoiser(training.averaged(i), work.device, work.dtype) for i in range(len(HALF_LIVES))]
        losses = [held_out_loss(denoiser, training.loss, held_data) for denoiser in denoisers]
        best = min(range(len(losses)), key=losses.__getitem__)

        def ranked(solver: str, steps: int) -> Candidate:
            generator = Native(denoisers[best], solver)
            distance = distance_of(partial(generator.generate, steps=steps), work.held_out, work.per_class)
            return Candidate(solver, steps, distance)

        candidates = [ranked(solver, steps) for solver, steps in choose.CANDIDATES]
        chosen = choose.choose(candidates)
        told = {
            "images_seen": training.images,
            "held_out_loss": losses[best],
            "solver": chosen.solver,
            "steps": chosen.steps,
        }
        choice = {
            "held_out_loss": dict(zip(map(str, HALF_LIVES), losses, strict=True)),
            "candidates": [asdict(candidate) for candidate in candidates],
            "chosen": asdict(chosen),
        }
        return write_export(work, best, told, choice)
