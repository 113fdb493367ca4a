"""`python -m submission.training native`: train the project's own generator, in one go or in pieces."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from evaluation.challenge import Challenge, get_challenge
from evaluation.datasets import data_folder, load_split
from evaluation.files import written_whole
from evaluation.images import ImageSet
from submission.generators.native import (
    Native,
    build_network,
    inference_denoiser,
    load_tensors,
)
from submission.networks.edm import SIGMA_DATA
from submission.networks.unet import PRESETS, UNet, count_macs, count_parameters
from submission.precision import fastest_precision
from submission.training.checkpoint import load_checkpoint, save_checkpoint
from submission.training.choose import choose, held_out_loss, rank_samplers
from submission.training.diffusion import DeviceData, DiffusionTraining
from submission.training.grid import save_grid
from submission.training.held_out import hold_out
from submission.training.recipes import HALF_LIVES, RECIPES, Recipe
from submission.training.session import Session
from submission.weights import WeightsHeader, load_weights, save_weights

EXAMPLES = """
examples:
  python -m submission.training native --dataset digits
  python -m submission.training native --dataset cifar100 --data DIR                    two hours on a CPU
  python -m submission.training native --dataset cifar100 --data DIR --preset cifar100-gpu --out DIR --minutes 9
  ... then as often as needed:  the same with --resume                       each piece ends with usable weights
"""


@dataclass(frozen=True)
class Model:
    """What is trained: fixed at the beginning and carried by each checkpoint.

    Attributes:
        preset: a key of `PRESETS`.
        network: the network's shape, a UNetConfig as JSON.
        recipe: how it is trained.
        seed: of all that is random.
    """

    preset: str
    network: dict[str, Any]
    recipe: Recipe
    seed: int

    def build(self, challenge: Challenge) -> UNet:
        torch.manual_seed(self.seed)
        return build_network(self.network, challenge, self.recipe.dropout)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--dataset", required=True, help="name of the challenge to train for")
    parser.add_argument(
        "--data", type=Path, help="folder of the real data sets; default: $SUBMISSION_DATA or the cache"
    )
    parser.add_argument("--preset", choices=PRESETS, help="shape of the network; default: the challenge's for --device")
    parser.add_argument("--out", type=Path, help="folder for everything written; default: runs/native-DATASET")
    parser.add_argument("--images", type=int, help="images to see in all; default: the preset's")
    parser.add_argument("--minutes", type=float, help="end this session after so long, to go on later with --resume")
    parser.add_argument("--batch", type=int, help="images a step; default: the preset's")
    parser.add_argument("--rate", type=float, help="highest learning rate; default: the preset's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="default: %(default)s")
    parser.add_argument("--compile", action="store_true", help="compile the network first; pays on a GPU")
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    start.add_argument("--from", dest="weights", type=Path, metavar="FILE", help="go on from a weights file")


def run(args: argparse.Namespace) -> int:
    """Train and export. Returns the exit code: 0, or 130 where a signal ended the session.

    Raises:
        ValueError: options, data, checkpoint or weights do not fit; the sentence says what to do.
    """
    challenge = get_challenge(args.dataset)
    out = args.out or Path("runs") / f"native-{challenge.name}"
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists() and not args.resume:
        raise ValueError(f"{checkpoint} is there already: add --resume to go on from it, or choose another --out")
    train, held_out = hold_out(load_split(challenge, "train", data_folder(args.data)))
    data = DeviceData.put(train, args.device)
    dtype = fastest_precision(args.device)

    if args.resume:
        saved = load_checkpoint(checkpoint, args.device)
        model = _resumed_model(saved, args, challenge, checkpoint)
        training = DiffusionTraining(model.build(challenge).to(args.device), model.recipe, data, model.seed, dtype)
        training.restore(saved["state"])
    else:
        model, seen = _fresh_model(args, challenge)
        network = model.build(challenge)
        if args.weights:
            load_tensors(network, load_weights(args.weights, "native", challenge)[0], args.weights)
        training = DiffusionTraining(network.to(args.device), model.recipe, data, model.seed, dtype, seen)
    if args.compile:
        training.compile()
    _announce(model, training, challenge, out, args.device)

    def save() -> None:
        save_checkpoint(checkpoint, {"challenge": challenge.name, "model": asdict(model), "state": training.state()})

    def picture() -> None:
        seeds = torch.arange(100)
        generator = Native(inference_denoiser(training.averaged(1), args.device, dtype), "dpm2m")
        images = generator.generate(seeds % challenge.classes, seeds, 12)
        save_grid(out / "samples" / f"{training.images:012d}.png", images, 10)

    out.mkdir(parents=True, exist_ok=True)
    seconds = None if args.minutes is None else 60 * args.minutes
    if not Session(training, out / "loss.jsonl", save, picture, seconds).run():
        print(f"stopped after {training.images:,} images; go on with the same command and --resume", file=sys.stderr)
        return 130
    print(export(training, model, challenge, held_out, len(train), out, args.device, dtype))
    return 0


def export(
    training: DiffusionTraining,
    model: Model,
    challenge: Challenge,
    held_out: ImageSet,
    trained_on: int,
    out: Path,
    device: str,
    dtype: torch.dtype,
) -> Path:
    """Choose an average, a solver and steps on the held-out images, and write the weights file; returns its path."""
    held_data = DeviceData.put(held_out, device)
    denoisers = [inference_denoiser(training.averaged(i), device, dtype) for i in range(len(HALF_LIVES))]
    losses = [held_out_loss(denoiser, training.loss, held_data) for denoiser in denoisers]
    best = min(range(len(losses)), key=losses.__getitem__)
    generators: dict[str, Native] = {}

    def generate(labels_B: torch.Tensor, seeds_B: torch.Tensor, solver: str, steps: int) -> torch.Tensor:
        generator = generators.setdefault(solver, Native(denoisers[best], solver))
        return generator.generate(labels_B, seeds_B, steps)

    per_class = 50 if device != "cpu" or challenge.classes <= 10 else 5
    ranked = rank_samplers(generate, held_out, per_class)
    chosen = choose(ranked)
    header = WeightsHeader(
        generator="native",
        challenge=challenge.name,
        class_names=challenge.class_names,
        data=f"{trained_on:,} images of the training split of {challenge.title}, nothing else",
        licence="Apache-2.0",
        seed=model.seed,
        model={
            "preset": model.preset,
            "network": model.network,
            "sigma_data": SIGMA_DATA,
            "images_seen": training.images,
            "ema_half_life": round(HALF_LIVES[best] * training.images),
            "held_out_loss": losses[best],
            "solver": chosen.solver,
            "steps": chosen.steps,
        },
    )
    path = out / f"native-{challenge.name}.safetensors"
    save_weights(path, training.averaged(best).state_dict(), header)
    told = {
        "held_out_loss": dict(zip(map(str, HALF_LIVES), losses, strict=True)),
        "candidates": [asdict(candidate) for candidate in ranked],
        "chosen": asdict(chosen),
    }
    with written_whole(out / "choice.json") as part:
        part.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return path


def _fresh_model(args: argparse.Namespace, challenge: Challenge) -> tuple[Model, int]:
    """The model to begin with, and how many images the weights that it begins with have seen."""
    seen, shape, preset = 0, None, args.preset
    if args.weights:
        header = load_weights(args.weights, "native", challenge)[1]
        if preset not in (None, header.model["preset"]):
            raise ValueError(f"{args.weights} is of preset {header.model['preset']!r}; leave out --preset {preset}")
        preset, shape, seen = header.model["preset"], header.model["network"], header.model["images_seen"]
    if preset is None:
        kind = "cpu" if args.device == "cpu" else "gpu"
        preset = challenge.name if challenge.name in PRESETS else f"{challenge.name}-{kind}"
    made_for, config = PRESETS[preset]
    if made_for != challenge.name:
        fitting = ", ".join(name for name, (challenge_name, _) in PRESETS.items() if challenge_name == challenge.name)
        raise ValueError(f"preset {preset} is for {made_for}; for {challenge.name} choose one of: {fitting}")
    changed = {name: getattr(args, name) for name in ("images", "batch", "rate") if getattr(args, name) is not None}
    for name, value in changed.items():
        if value <= 0:
            raise ValueError(f"--{name} must be above 0, not {value}")
    return Model(preset, shape or asdict(config), replace(RECIPES[preset], **changed), args.seed), seen


def _resumed_model(saved: dict[str, Any], args: argparse.Namespace, challenge: Challenge, checkpoint: Path) -> Model:
    """The model of a checkpoint; only the number of images to see may change."""
    if saved.get("challenge") != challenge.name:
        raise ValueError(f"{checkpoint} is of a training for {saved.get('challenge')!r}, not {challenge.name!r}")
    told = saved["model"]
    recipe = Recipe(**told["recipe"])
    for name, value in (("batch", recipe.batch), ("rate", recipe.rate)):
        if getattr(args, name) not in (None, value):
            raise ValueError(f"the training in {checkpoint} has --{name} {value}; it cannot change on the way")
    if args.images is not None:
        recipe = replace(recipe, images=args.images)
    return Model(told["preset"], told["network"], recipe, told["seed"])


def _announce(model: Model, training: DiffusionTraining, challenge: Challenge, out: Path, device: str) -> None:
    network = training.network
    print(
        f"{model.preset} for {challenge.title}: {count_parameters(network) / 1e6:.2f}M parameters,"
        f" {count_macs(network) / 1e9:.3f} GMACs; {training.images:,} of {model.recipe.images:,} images seen;"
        f" batch {model.recipe.batch}, seed {model.seed}, {device}; writing to {out}",
        file=sys.stderr,
        flush=True,
    )
