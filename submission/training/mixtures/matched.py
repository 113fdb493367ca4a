"""`python -m submission.training matched`: train the clusters of `matched`, in one go or in pieces."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from evaluation.base.challenge import Challenge, get_challenge
from evaluation.base.images import ImageSet
from evaluation.data.datasets import data_folder, load_split
from submission.contract.pixels import resize_uint8
from submission.contract.weights import WeightsHeader, save_weights
from submission.generators.gaussian import Gaussian, Mixture
from submission.training.common.arguments import add_piece_arguments
from submission.training.common.checkpoint import begin_or_resume, save_checkpoint
from submission.training.common.grid import save_grid
from submission.training.common.held_out import hold_out
from submission.training.common.progress import Progress
from submission.training.common.quick_judge import quick_accuracy
from submission.training.common.session import Session
from submission.training.mixtures.experts import experts_for
from submission.training.mixtures.gaussian import LARGEST_SIZE
from submission.training.mixtures.matching import Matching, MatchRecipe, fitted
from submission.training.native.choose import make_some

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
# of a recipe, what may be set by hand
_NUMBERS = {"clusters": int, "spread": float, "experts": int, "steps": int, "rate": float, "label_weight": float}
_GRID = 10  # images a side of a grid of samples
_QUICK_IPC = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    add_piece_arguments(parser, "matched")
    for name, kind in _NUMBERS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, help="default: the challenge's")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")


def run(args: argparse.Namespace) -> int:
    """Train and export. Returns the exit code: 0, or 130 where a signal ended the session.

    Raises:
        ValueError: options, data or checkpoint do not fit; the sentence says what to do.
    """
    challenge = get_challenge(args.dataset)
    out = args.out or Path("runs") / f"matched-{challenge.name}"
    checkpoint, saved = begin_or_resume(out, args.resume, args.device)
    recipe, seed = _recipe(args, challenge, saved, checkpoint), saved["seed"] if saved else args.seed
    train, held_out = hold_out(load_split(challenge, "train", data_folder(args.data)))
    with Progress("training experts") as progress:
        experts = experts_for(
            train,
            challenge,
            count=recipe.experts,
            ages=recipe.ages,
            mirrored=recipe.mirrored,
            seed=seed,
            device=args.device,
            cache=out / "experts.pt",
            on_progress=lambda share: progress.show(share, f"{recipe.experts} networks"),
        )
    size = min(challenge.size, LARGEST_SIZE)
    training = Matching(fitted(train, recipe, seed, args.device), size, experts, recipe, challenge, seed, args.device)
    if saved:
        training.restore(saved["state"])
    print(
        f"matched for {challenge.title}: {recipe.clusters} clusters a class, {len(experts)} experts;"
        f" {training.steps_done:,} of {recipe.steps:,} steps done; seed {seed}, {args.device}; writing to {out}",
        file=sys.stderr,
        flush=True,
    )

    def generator() -> Gaussian:
        return Gaussian(training.matched(), size, recipe.spread)

    def save() -> None:
        told = {"challenge": challenge.name, "recipe": asdict(recipe), "seed": seed}
        save_checkpoint(checkpoint, {**told, "state": training.state()})

    def picture() -> None:
        seeds = torch.arange(_GRID * _GRID)
        made = resize_uint8(generator().generate(seeds % challenge.classes, seeds, 1), challenge.size)
        save_grid(out / "samples" / f"{training.steps_done:06d}.png", made, _GRID)

    def judge() -> float:
        made = make_some(partial(generator().generate, steps=1), challenge.classes, _QUICK_IPC)
        sized = resize_uint8(torch.from_numpy(made.images), challenge.size).numpy()
        return quick_accuracy(ImageSet(sized, made.labels), held_out, challenge, args.device)

    seconds = None if args.minutes is None else 60 * args.minutes
    try:
        ended = Session(training, out / "loss.jsonl", save, picture, seconds, judge).run()
    finally:
        training.close()
    if not ended:
        print(f"stopped after {training.steps_done:,} steps; go on with the same command and --resume", file=sys.stderr)
        return 130
    print(_export(training, challenge, len(train), seed, out))
    return 0


def _recipe(
    args: argparse.Namespace, challenge: Challenge, saved: dict[str, Any] | None, checkpoint: Path
) -> MatchRecipe:
    """The challenge's recipe with the options, or that of the checkpoint.

    Raises:
        ValueError: an option is out of range, or differs from what the checkpoint was begun with.
    """
    asked = {name: getattr(args, name) for name in _NUMBERS if getattr(args, name) is not None}
    if saved:
        if saved["challenge"] != challenge.name:
            raise ValueError(f"{checkpoint} is of {saved['challenge']}, not of {challenge.name}; choose another --out")
        begun = MatchRecipe(**{**saved["recipe"], "ages": tuple(saved["recipe"]["ages"])})
        if begun != replace(begun, **asked):
            raise ValueError(f"{checkpoint} was begun with other settings; leave them out, or choose another --out")
        return begun
    recipe = replace(RECIPES[challenge.name], **asked)
    for name in _NUMBERS:
        least = 0 if name in ("label_weight", "spread") else 1 if _NUMBERS[name] is int else 1e-9
        if not least <= getattr(recipe, name):
            raise ValueError(f"--{name.replace('_', '-')} must be positive, not {getattr(recipe, name)}")
    return recipe


def _export(training: Matching, challenge: Challenge, trained_on: int, seed: int, out: Path) -> Path:
    header = WeightsHeader(
        generator="matched",
        challenge=challenge.name,
        class_names=challenge.class_names,
        data=f"{trained_on:,} images of the training split of {challenge.title}, nothing else",
        licence="Apache-2.0",
        seed=seed,
        model={
            "size": training.size,
            "spread": training.recipe.spread,
            "recipe": asdict(training.recipe),
            "steps_done": training.steps_done,
        },
    )
    path = out / f"matched-{challenge.name}.safetensors"
    mixture = training.matched()
    save_weights(path, {name: getattr(mixture, name) for name in Mixture.__dataclass_fields__}, header)
    return path
