"""Is a diffusion model's selection worth more than random crops, whole real images or a classifier's choice?

    python -m benchmarks.selection --dataset digits
    python -m benchmarks.selection --dataset cifar100 --data DIR --weights FILE

Every way takes its images from the same part of the training split, and is judged on the rest of it with a shortened
protocol (a preview). Each choice is made anew with its own seed and judged once, so the intervals are over both, the
choice and the judge's training. Without weights for the data set, `selection` is left out.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch

from evaluation.base.challenge import Challenge, get_challenge
from evaluation.base.images import ImageSet, balanced_split, random_subset
from evaluation.base.machine import resolve_device, this_machine
from evaluation.data.datasets import data_folder, load_split
from evaluation.formats.shards import write_shard
from evaluation.judge.score import accuracy_interval, judge
from submission.contract.generator import LoadContext, Selector, get_generator
from submission.patches.crops import PATCH, crop_resized, random_boxes, sides_in_pixels

RESULTS = Path(__file__).parent / "results"
SHARE_HELD_OUT = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--weights", help="of a diffusion model, as `--generator selection` takes them")
    parser.add_argument("--ipc", type=int, default=10, help="default: %(default)s")
    parser.add_argument("--choices", type=int, default=3, help="of each way (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=60, help="default: %(default)s")
    parser.add_argument("--held-out", type=int, default=2000, help="images at most (default: %(default)s)")
    parser.add_argument("--set", action="append", default=[], metavar="WAY.NAME=VALUE", help="a setting of one way")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/selection-<dataset>-<machine>.json")
    options = parser.parse_args()
    device, challenge = resolve_device(options.device), get_challenge(options.dataset)
    machine = this_machine(device)
    out = options.out or RESULTS / f"selection-{challenge.name}-{machine.label}.json"
    train, held_out = balanced_split(
        load_split(challenge, "train", data_folder(options.data)), SHARE_HELD_OUT, options.held_out
    )
    report: dict[str, Any] = {
        "machine": asdict(machine),
        "dataset": challenge.name,
        "ipc": options.ipc,
        "epochs": options.epochs,
        "choices": options.choices,
        "held_out_images": len(held_out),
        "preview": True,
        "ways": [],
    }
    with tempfile.TemporaryDirectory() as folder:
        stored = Path(folder) / "training.npz"
        write_shard(stored, train)
        for name, way in ways(options, challenge, train, stored, device).items():
            found = measure(name, way, challenge, held_out, options, device)
            report["ways"].append(found)
            print(json.dumps(found), file=sys.stderr, flush=True)
            out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"written to {out}")


Way = Callable[[int], ImageSet]  # seed -> `ipc` images per class


def ways(
    options: argparse.Namespace, challenge: Challenge, train: ImageSet, stored: Path, device: str
) -> dict[str, Way]:
    """What is compared, by name."""
    sides = sides_in_pixels(PATCH.default, challenge.size)

    def by_generator(name: str, weights: Path | None) -> Way:
        settings = dict(
            text.removeprefix(f"{name}.").split("=", 1) for text in options.set if text.startswith(f"{name}.")
        )
        return lambda seed: chosen_by(name, challenge, weights, stored, settings, options.ipc, device, seed)

    found: dict[str, Way] = {
        "real": by_generator("real", None),
        "random crops": lambda seed: random_crops(random_subset(train, options.ipc, seed), sides, seed),
        "rded": by_generator("rded", None),
    }
    try:
        weights = get_generator("selection").find_weights(challenge, options.weights)
    except ValueError as error:
        print(f"selection is left out: {error}", file=sys.stderr)
        return found
    return found | {"selection": by_generator("selection", weights)}


def random_crops(images: ImageSet, sides: tuple[int, ...], seed: int) -> ImageSet:
    """One random crop of each image, of the sides that the selectors choose from."""
    boxes_N3 = random_boxes(len(images), images.images.shape[-1], sides, np.random.default_rng(seed))
    crops = crop_resized(torch.from_numpy(images.images), torch.from_numpy(boxes_N3))
    return ImageSet(crops.numpy(), images.labels)


def chosen_by(
    name: str,
    challenge: Challenge,
    weights: Path | None,
    stored: Path,
    settings: Mapping[str, str],
    ipc: int,
    device: str,
    seed: int,
) -> ImageSet:
    """The first `ipc` images per class of a selector."""
    kind = get_generator(name)
    kind.resolve_settings(settings)
    selector = kind.load(LoadContext(challenge, device, weights, stored, seed, settings))
    assert isinstance(selector, Selector)
    labels_N = torch.arange(challenge.classes).repeat_interleave(ipc)
    indices_N = torch.arange(ipc).repeat(challenge.classes)
    return ImageSet(selector.select(labels_N, indices_N).cpu().numpy(), labels_N.numpy())


def measure(
    name: str, way: Way, challenge: Challenge, held_out: ImageSet, options: argparse.Namespace, device: str
) -> dict[str, Any]:
    """The accuracy that each choice of `way` earns, with the interval of the mean, and the seconds of a choice."""
    accuracies, seconds = [], []
    for seed in range(options.choices):
        began = time.monotonic()
        images = way(seed)
        seconds.append(time.monotonic() - began)
        score = judge(images, held_out, challenge, rounds=1, epochs=options.epochs, judge_seed=seed, device=device)
        accuracies.append(score.mean)
    return {
        "way": name,
        "accuracies": accuracies,
        "mean": fmean(accuracies),
        "ci95": accuracy_interval(accuracies),
        "choosing_s": fmean(seconds),
    }


if __name__ == "__main__":
    main()
