"""What the shipped digits weights are worth: the accuracy that their images earn, beside real images and others.

    python -m benchmarks.native_digits

Judges on the real test split with a shortened protocol (60 epochs). The nearest-image figures are taken on the
training images that the weights were trained on, and on those that were held out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.generated import generated
from benchmarks.machine import machine
from benchmarks.near_copies import measure_nearness
from evaluation.base.challenge import get_challenge
from evaluation.base.images import ImageSet
from evaluation.data.datasets import load_split
from evaluation.judge.score import judge
from submission.contract.generator import Generator, LoadContext
from submission.contract.precision import fastest_precision
from submission.diffusion.native_model import inference_denoiser
from submission.diffusion.networks.denoiser import AUGMENT_CONDITION
from submission.diffusion.networks.unet import PRESETS, UNet
from submission.generators.gaussian import Gaussian
from submission.generators.native import Native
from submission.training.common.held_out import hold_out

RESULT = Path(__file__).parent / "results" / "native-digits.json"
DIGITS = get_challenge("digits")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ipc", type=int, default=DIGITS.ipc_cap)
    args = parser.parse_args()
    split = load_split(DIGITS, "train", None)
    train, held_out = hold_out(split)
    test = load_split(DIGITS, "test", None)
    rows = []
    for name, images, extra in sources(split, args.ipc):
        score = judge(images, test, DIGITS, rounds=args.rounds, epochs=args.epochs)
        if name in ("native", "gaussian"):
            extra |= {"nearness": asdict(measure_nearness(images, held_out, train))}
        row = {"source": name, "ipc": len(images) // 10, "accuracy": score.mean, "rounds": score.rounds, **extra}
        rows.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)
    RESULT.parent.mkdir(exist_ok=True)
    told = {"dataset": "digits", "epochs": args.epochs, "rows": rows, "machine": machine()}
    RESULT.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(RESULT)


def sources(split: ImageSet, ipc: int) -> Iterator[tuple[str, ImageSet, dict[str, Any]]]:
    """Name, images to train the judge on, and what else is to be told."""
    native = Native.load(LoadContext(DIGITS, "cpu"))
    steps = Native.default_steps(Native.find_weights(DIGITS, None))
    yield "native", *made_by(native, ipc, steps)
    yield "gaussian", *made_by(Gaussian.load(LoadContext(DIGITS, "cpu")), ipc, 1)
    torch.manual_seed(0)
    random = UNet(PRESETS["digits"][1], DIGITS.classes, AUGMENT_CONDITION)
    with torch.no_grad():
        random.out_gain.fill_(1.0)  # it would answer zero
    untrained = Native(inference_denoiser(random, "cpu", fastest_precision("cpu")), native.solver)
    yield "native, untrained", *made_by(untrained, ipc, steps)
    for count in (10, ipc):
        chosen = np.concatenate([np.flatnonzero(split.labels == label)[:count] for label in range(DIGITS.classes)])
        yield "real", ImageSet(split.images[chosen], split.labels[chosen]), {}


def made_by(generator: Generator, ipc: int, steps: int) -> tuple[ImageSet, dict[str, Any]]:
    """`ipc` images a class, and what is to be told of them."""
    images, speed = generated(generator, DIGITS, ipc, steps)
    return images, {"steps": steps, "images_per_s": round(speed, 1)}


if __name__ == "__main__":
    main()
