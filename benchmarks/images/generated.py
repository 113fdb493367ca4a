"""Images as a run makes them, without a clock, and their accuracy on held-out training images."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks.images.near_copies import nearest_distances, nearness_of
from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet, first_of_each
from evaluation.judge.score import judge
from submission.contract.generator import Generator
from submission.contract.job import image_seed
from submission.contract.pixels import resize_uint8
from submission.training.mixtures.gaussian import with_mirror_images
from submission.training.native.model_selection import class_distance

NEARNESS_IPC = 10  # images per class whose nearest training image is searched for


def generated(generator: Generator, challenge: Challenge, ipc: int, steps: int) -> tuple[ImageSet, float]:
    """`ipc` images of each class, one of each class in turn, and images per second after the first batch."""
    batch = generator.info.default_batch
    labels = torch.arange(challenge.classes).repeat(ipc)
    indices = torch.arange(len(labels)) // challenge.classes
    seeds = torch.tensor([image_seed(0, int(label), int(i)) for label, i in zip(labels, indices, strict=True)])
    orders = list(zip(labels.split(batch), indices.split(batch), seeds.split(batch), strict=True))
    generator.generate_numbered(*orders[0], steps)
    began = time.monotonic()
    images = torch.cat(
        [resize_uint8(generator.generate_numbered(*order, steps), challenge.size).cpu() for order in orders]
    )
    speed = len(labels) / (time.monotonic() - began)
    return ImageSet(images.numpy(), labels.numpy()), speed


def worth(
    made: ImageSet,
    held_out: ImageSet,
    challenge: Challenge,
    rounds: int,
    epochs: int,
    device: str = "cpu",
) -> dict[str, Any]:
    """The accuracy on `held_out` of the judge's network after a short training, and the distance within the classes."""
    score = judge(made, held_out, challenge, rounds=rounds, epochs=epochs, device=device)
    return {
        "ipc": len(made) / challenge.classes,
        "accuracy": score.mean,
        "ci95": score.ci95,
        "rounds": score.rounds,
        "distance": class_distance(made, held_out),
    }


class NearnessTo:
    """Distances from images to those of `train` (and their mirror images if `mirrored`), compared with real images.

    The distances of the real ones, `held_out`, are measured once for all comparisons.
    """

    def __init__(self, train: ImageSet, held_out: ImageSet, mirrored: bool) -> None:
        self._copied = with_mirror_images(train) if mirrored else train
        self._real_N = nearest_distances(held_out, self._copied)

    def of(self, made: ImageSet) -> dict[str, float]:
        """Of some of `made`, as `Nearness`."""
        few = first_of_each(made, NEARNESS_IPC)
        return asdict(nearness_of(nearest_distances(few, self._copied), self._real_N))


def save_row(out: Path, report: dict[str, Any], row: dict[str, Any]) -> None:
    """Add `row` to `report["rows"]`, print it, and write the report so far, in case of an interruption."""
    report["rows"].append(row)
    print(json.dumps(row), file=sys.stderr, flush=True)
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
