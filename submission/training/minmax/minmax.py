"""`python -m submission.training minmax`: fine-tune a DiT with the min-max losses, in one go or in pieces."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import torch

from evaluation.base.challenge import Challenge, get_challenge
from evaluation.data.datasets import data_folder, load_split
from submission.contract.hub import find_model
from submission.diffusion.dit import DIT_XL, DiT, Transformer, known_classes, read_schedule
from submission.diffusion.pretrained import load_part
from submission.generators.dit import DiTGenerator
from submission.training.common.arguments import add_piece_arguments
from submission.training.common.checkpoint import begin_or_resume, save_checkpoint
from submission.training.common.grid import save_grid
from submission.training.common.session import Session
from submission.training.minmax.export import Told, save_model
from submission.training.minmax.latents import encode_once
from submission.training.minmax.parameters import relabel, tie_embeddings
from submission.training.minmax.recipe import PRESETS, MinMaxRecipe
from submission.training.minmax.training import MinMaxTraining

EXAMPLES = """
examples:
  python -m submission.training minmax --dataset cifar100 --data DIR --out DIR                  as in the paper
  python -m submission.training minmax --dataset tiny-imagenet --data DIR --out DIR --preset cvpr --minutes 60
  ... then as often as needed:  the same with --resume                      each piece ends with a usable model
"""
# what of a preset may be set by hand
_NUMBERS = {
    "lambda_r": float,
    "lambda_d": float,
    "memory": int,
    "rank": int,
    "epochs": float,
    "batch": int,
    "rate": float,
}
_CHOICES = {"memory_of": ("class", "batches"), "parameters": ("full", "difffit", "lora")}
DEFAULT_PRESET = "paper"
PICTURED = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    add_piece_arguments(parser, "minmax")
    parser.add_argument("--weights", help=f"DiT to begin with, a folder or a hub name; default: {DIT_XL.repository}")
    parser.add_argument("--preset", choices=PRESETS, help=f"whose numbers; default: {DEFAULT_PRESET}")
    for name, kind in _NUMBERS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, help="default: the preset's")
    for name, choices in _CHOICES.items():
        parser.add_argument(f"--{name.replace('_', '-')}", choices=choices, help="default: the preset's")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")


def run(args: argparse.Namespace) -> int:
    """Train and export. Returns the exit code: 0, or 130 where a signal ended the session.

    Raises:
        ValueError: options, data, model or checkpoint do not fit; the sentence says what to do.
    """
    challenge = get_challenge(args.dataset)
    out = args.out or Path("runs") / f"minmax-{challenge.name}"
    checkpoint, saved = begin_or_resume(out, args.resume, "cpu")
    recipe = _resumed_recipe(saved, args, challenge, checkpoint) if saved else _fresh_recipe(args)
    seed = saved["seed"] if saved else args.seed
    source = args.weights or (saved["base"] if saved else None)
    base = find_model(DIT_XL, source)
    images = load_split(challenge, "train", data_folder(args.data))

    out.mkdir(parents=True, exist_ok=True)
    dit = load_for(challenge, base, args.device)
    training = MinMaxTraining(dit.transformer, dit.gammas_T, recipe, encode_once(dit, images, base / "vae", out), seed)
    if saved:
        training.restore(saved["state"])
    trained = sum(parameter.numel() for parameter in training.parameters.values())
    print(
        f"min-max for {challenge.title}: {trained / 1e6:.2f}M parameters ({recipe.parameters}); {training.images:,} of"
        f" {training.total:,} images seen; batch {recipe.batch}, seed {seed}, {args.device}; writing to {out}",
        file=sys.stderr,
        flush=True,
    )

    def save() -> None:
        told = {"challenge": challenge.name, "base": source, "recipe": asdict(recipe), "seed": seed}
        save_checkpoint(checkpoint, {**told, "state": training.state()})

    def picture() -> None:
        save_grid(out / "samples" / f"{training.images:012d}.png", _samples(training, dit, challenge), 10)

    seconds = None if args.minutes is None else 60 * args.minutes
    if not Session(training, out / "loss.jsonl", save, picture, seconds).run():
        print(f"stopped after {training.images:,} images; go on with the same command and --resume", file=sys.stderr)
        return 130
    told = Told(
        challenge=challenge.name,
        base=Path(source).name if source and Path(source).is_dir() else source or DIT_XL.repository,
        data=f"{len(images):,} images of the training split of {challenge.title}",
        recipe=asdict(recipe),
        images_seen=training.images,
        seed=seed,
    )
    save_model(out / "model", training.averaged(), base, challenge, told)
    print(out / "model")
    return 0


def load_for(challenge: Challenge, base: Path, device: str) -> DiT:
    """The DiT in `base` with a label embedding of exactly the classes of `challenge`, its transformer in fp32.

    Classes that it knows begin as they are, others as the null label.

    Raises:
        ValueError: files are damaged.
    """
    from diffusers import AutoencoderKL, DiTTransformer2DModel

    schedule = read_schedule(base)
    transformer: Transformer = load_part(DiTTransformer2DModel, base, "transformer", torch.float32, device)
    vae = load_part(AutoencoderKL, base, "vae", torch.float32 if device == "cpu" else torch.float16, device)
    tie_embeddings(transformer)
    relabel(transformer, known_classes(base, challenge), challenge.classes)
    return DiT(transformer, vae, schedule, tuple(range(challenge.classes)))


def _samples(training: MinMaxTraining, dit: DiT, challenge: Challenge) -> torch.Tensor:
    """Images of classes spread over the challenge's, as `dit-minmax` would make them."""
    transformer = training.averaged() if dit.vae.dtype == torch.float32 else training.averaged().half()
    labels = torch.arange(PICTURED) * challenge.classes // PICTURED
    trained = DiT(transformer, dit.vae, dit.schedule, tuple(range(challenge.classes)))
    generator = DiTGenerator(trained, DiTGenerator.resolve_settings({}))
    return generator.generate(labels, torch.arange(PICTURED), DiTGenerator.info.default_steps)


def _fresh_recipe(args: argparse.Namespace) -> MinMaxRecipe:
    """The preset's, with what was given by hand."""
    names = [*_NUMBERS, *_CHOICES]
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    return replace(PRESETS[args.preset or DEFAULT_PRESET], **given)


def _resumed_recipe(
    saved: dict[str, Any], args: argparse.Namespace, challenge: Challenge, checkpoint: Path
) -> MinMaxRecipe:
    """The recipe of a checkpoint; only the number of epochs may change."""
    if saved.get("challenge") != challenge.name:
        raise ValueError(f"{checkpoint} is of a training for {saved.get('challenge')!r}, not {challenge.name!r}")
    recipe = MinMaxRecipe(**saved["recipe"])
    asked = _fresh_recipe(args)
    for field in fields(recipe):
        given = args.preset is not None or getattr(args, field.name, None) is not None
        if given and field.name != "epochs" and getattr(asked, field.name) != getattr(recipe, field.name):
            option, value = field.name.replace("_", "-"), getattr(recipe, field.name)
            raise ValueError(f"the training in {checkpoint} has --{option} {value}; it cannot change on the way")
    return recipe if args.epochs is None else replace(recipe, epochs=args.epochs)
