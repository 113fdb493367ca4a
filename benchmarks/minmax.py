"""What the two min-max losses do to a small DiT, compared with the same training without them, on real images.

    python -m benchmarks.minmax --dataset cifar100 --data DIR

For each seed a small DiT with random weights is trained by the diffusion loss alone, in the latents of a small
autoencoder that was trained on the same images; from there the same batches, noise and timesteps are trained on with
and without the two losses. All then get the same tasks: to predict the noise in held-out training images, and to make
images. One process, one thread; about half an hour on one core.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.models.dit import write_small_dit
from evaluation.base.challenge import Challenge, get_challenge
from evaluation.base.images import ImageSet, first_of_each
from evaluation.base.machine import this_machine
from evaluation.data.datasets import data_folder, load_split
from evaluation.judge.score import student_interval
from submission.contract.seeded import noise
from submission.diffusion.dit import DiT, noise_and_variance
from submission.diffusion.latent_samplers import sample
from submission.training.common.held_out import split_held_out
from submission.training.minmax.latents import Latents, encode_once
from submission.training.minmax.losses import diffusion_loss, predicted_features
from submission.training.minmax.model import load_for
from submission.training.minmax.training import PRESETS, MinMaxRecipe, MinMaxTraining, noised

RESULTS = Path(__file__).parent / "results"
# name -> lambda_r, lambda_d
ARMS = {
    "without": (0.0, 0.0),
    "paper": (1e-3, 2e-3),
    "representativeness alone, x10": (1e-2, 0.0),
    "diversity alone, x10": (0.0, 2e-2),
    "both, x10": (1e-2, 2e-2),
    "representativeness x15, diversity x10": (1.5e-2, 2e-2),
    "representativeness x20, diversity x10": (2e-2, 2e-2),
    "representativeness x30, diversity x10": (3e-2, 2e-2),
}


@dataclass(frozen=True)
class Scale:
    """How large the comparison is.

    Attributes:
        layers, width: of the DiT.
        autoencoder_steps, base_steps, steps: of the three trainings; those of `base` are by the diffusion loss alone.
        base_batch, base_rate, rate: of the first training of the DiT, and the rate of the second.
        made: images of each class that they make, with `made_steps` steps.
    """

    layers: int = 3
    width: int = 64
    autoencoder_steps: int = 150
    base_steps: int = 400
    base_batch: int = 32
    base_rate: float = 1e-3
    steps: int = 300
    rate: float = 1e-4
    made: int = 4
    made_steps: int = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="cifar100")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=[*ARMS], help="default: all")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/minmax-<dataset>.json")
    parser.add_argument("--per-class", type=int, default=64, help="training images of each class; default: %(default)s")
    parser.add_argument(
        "--held-out", type=int, default=8, help="images of each class held_out about; default: %(default)s"
    )
    parser.add_argument("--base-steps", type=int, default=Scale.base_steps)
    parser.add_argument("--steps", type=int, default=Scale.steps)
    args = parser.parse_args()
    torch.set_num_threads(1)
    challenge = get_challenge(args.dataset)
    parts = split_held_out(load_split(challenge, "train", data_folder(args.data)))
    train, held_out = (
        first_of_each(images, count) for images, count in zip(parts, (args.per_class, args.held_out), strict=True)
    )
    scale = Scale(base_steps=args.base_steps, steps=args.steps)
    began = time.monotonic()
    rows: list[dict[str, Any]] = []
    path = args.out or RESULTS / f"minmax-{challenge.name}.json"
    RESULTS.mkdir(exist_ok=True)
    arms = {arm: ARMS[arm] for arm in ("without", *args.arms)}
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        rows += compare(challenge, train, held_out, scale, seed, arms)
        report = {
            "dataset": challenge.name,
            "training_images": len(train),
            "held_out_images": len(held_out),
            "scale": asdict(scale),
            "seeds": seed + 1 - args.first_seed,
            "seconds": round(time.monotonic() - began),
            "processor_seconds": round(time.process_time()),
            "against_without": against_without(rows),
            "rows": rows,
            "machine": asdict(this_machine()),
        }
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(path)


def compare(
    challenge: Challenge,
    train: ImageSet,
    held_out: ImageSet,
    scale: Scale,
    seed: int,
    arms: dict[str, tuple[float, float]],
) -> list[dict[str, Any]]:
    """One row for the training by the diffusion loss alone, then one for each of `arms` that went on from it."""
    recipe = replace(PRESETS["paper"], lambda_r=0.0, lambda_d=0.0, batch=scale.base_batch, rate=scale.base_rate)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        error = write_small_dit(folder, challenge, train, seed, scale.layers, scale.width, scale.autoencoder_steps)
        dit = load_for(challenge, folder, "cpu")
        data, held_out_latents = (encode_once(dit, images, folder / "vae", folder) for images in (train, held_out))
        base = MinMaxTraining(dit.transformer, dit.gammas_T, recipe, data, seed)
        rows = [{"seed": seed, "arm": "base", "autoencoder_error": error, **trained(base, scale.base_steps)}]
        base_state = {name: parameter.detach().clone() for name, parameter in base.parameters.items()}
        for arm, (lambda_r, lambda_d) in arms.items():
            tuned = load_for(challenge, folder, "cpu")
            recipe = replace(PRESETS["paper"], lambda_r=lambda_r, lambda_d=lambda_d, rate=scale.rate)
            row = run_arm(tuned, base_state, recipe, data, held_out_latents, scale, seed)
            rows.append({"seed": seed, "arm": arm, "lambda_r": lambda_r, "lambda_d": lambda_d, **row})
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    return rows


def run_arm(
    dit: DiT,
    base_state: dict[str, Tensor],
    recipe: MinMaxRecipe,
    data: Latents,
    held_out: Latents,
    scale: Scale,
    seed: int,
) -> dict[str, Any]:
    """Train by `recipe` from `base_state`; losses in training, then predictions and images."""
    training = MinMaxTraining(dit.transformer, dit.gammas_T, recipe, data, seed)
    with torch.no_grad():
        for name, parameter in training.parameters.items():
            parameter.copy_(base_state[name])
    losses = trained(training, scale.steps)
    return {**losses, **evaluate(dit, data, held_out, scale)}


def trained(training: MinMaxTraining, steps: int) -> dict[str, Any]:
    """Take `steps` steps; the terms of equation 4 over the first tenth and the last quarter of them."""
    began = time.monotonic()
    first = steps // 10
    report: dict[str, Any] = {"steps": steps}
    for step in range(1, steps + 1):
        training.step()
        if step == first:
            report |= {f"first_{name}": value for name, value in training.measured().items()}
        elif step == steps - steps // 4:
            training.measured()
    report |= {f"last_{name}": value for name, value in training.measured().items()}
    return {**report, "seconds_a_step": (time.monotonic() - began) / steps}


@torch.inference_mode()
def evaluate(dit: DiT, data: Latents, held_out: Latents, scale: Scale) -> dict[str, float]:
    """Fixed tasks. Similarities are those of features of a class with 64 real ones of it, and among themselves."""
    draw = torch.Generator().manual_seed(0)
    losses, features = [], []
    labels_N = torch.tensor(held_out.labels)
    for index in torch.arange(len(held_out)).split(250):
        z0_BCHW = held_out.latents_NCSS[index].float()
        noise_BCHW = torch.randn(z0_BCHW.shape, generator=draw)
        t_B = torch.randint(len(dit.gammas_T), (len(index),), generator=draw)
        z_BCHW = noised(z0_BCHW, noise_BCHW, dit.gammas_T[t_B])
        predicted_BCHW, _ = noise_and_variance(dit.transformer, z_BCHW, t_B, labels_N[index])
        losses.append(diffusion_loss(noise_BCHW, predicted_BCHW) * len(index))
        features.append(predicted_features(z_BCHW, predicted_BCHW))
    real_ND = data.latents_NCSS.float().flatten(1)
    real_labels_N = torch.tensor(data.labels)
    report = {"held_out_loss": float(torch.stack(losses).sum()) / len(held_out)}
    for name, (x_ND, of_N) in {"held_out": (torch.cat(features), labels_N), "made": _made(dit, scale)}.items():
        least, greatest = _similarities(x_ND, of_N, real_ND, real_labels_N)
        report |= {f"{name}_similarity_real": least, f"{name}_similarity_generated": greatest}
    return report


def _made(dit: DiT, scale: Scale) -> tuple[Tensor, Tensor]:
    """Latents (N, D) that the network makes of all classes by DDIM, and their labels."""
    labels_N = torch.arange(dit.null_label).repeat_interleave(scale.made)
    parts = []
    for index in torch.arange(len(labels_N)).split(250):
        ids_B = labels_N[index]

        def predict(z_BCHW: Tensor, t: int, ids_B: Tensor = ids_B) -> tuple[Tensor, Tensor | None]:
            return noise_and_variance(dit.transformer, z_BCHW, torch.full_like(ids_B, t), ids_B)

        draw = partial(noise, index, dit.latent_shape)
        parts.append(sample(predict, dit.schedule, "ddim", scale.made_steps, draw).flatten(1))
    return torch.cat(parts), labels_N


def _similarities(x_ND: Tensor, labels_N: Tensor, real_MD: Tensor, real_labels_M: Tensor) -> tuple[float, float]:
    """Mean over `x_ND` of the least cosine with 64 real ones of its class, and of the greatest with the others made."""
    least, greatest = [], []
    for label in labels_N.unique():
        mine = F.normalize(x_ND[labels_N == label], dim=1)
        real = F.normalize(real_MD[real_labels_M == label][:64], dim=1)
        least.append((mine @ real.T).amin(1))
        greatest.append((mine @ mine.T).fill_diagonal_(-1).amax(1))
    return float(torch.cat(least).mean()), float(torch.cat(greatest).mean())


def against_without(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """For each arm and measure the differences to `without` with the same seed: mean, 95% interval, each of them."""
    plain = {row["seed"]: row for row in rows if row["arm"] == "without"}
    names = [name for name in next(iter(plain.values())) if name.startswith(("last_", "held_out_", "made_"))]
    report: dict[str, dict[str, Any]] = {}
    for arm in dict.fromkeys(row["arm"] for row in rows if row["arm"] not in ("base", "without")):
        of_arm = [row for row in rows if row["arm"] == arm]
        differences = {name: [row[name] - plain[row["seed"]][name] for row in of_arm] for name in names}
        report[arm] = {
            name: {"mean": fmean(each), "ci95": student_interval(each), "each": each}
            for name, each in differences.items()
        }
    return report


if __name__ == "__main__":
    main()
