"""How prototypes look to networks that they were not made with, beside random real images and the held-out ones.

    python -m benchmarks.training.unseen_networks --dataset cifar100 --data DATA --work WORK --out FILE

Networks of another seed than the shipped training's learn the same real images. For each of their ages, each view
(`--views crop` shows all images shifted alike, as one draw of the judge's augmentation) and each set of images a row
has: how far the means of its classes are from those of the real training images, in the classes' distance from each
other (the training's `apart`); the variance within its classes as a fraction of the real one; the share of it that the
network recognises; and, in bands of the principal directions of the real variance within classes, how large the error
of its means is beside that of as many independent random images (1). A set of as many random real images says what its
size alone does: a little less than 1, since they are some of those that it is held against.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.held_out import images_of
from evaluation.base.challenge import Challenge, get_challenge
from evaluation.base.images import ImageSet, random_subset
from evaluation.base.machine import this_machine
from evaluation.base.progress_bar import progress_bar
from evaluation.data.datasets import data_folder, load_split
from evaluation.judge.dsa import KINDS
from evaluation.judge.engine import put_on_device
from submission.distillation.experts import Expert, experts_for
from submission.distillation.groups import seen_by
from submission.distillation.views import PLAIN_VIEW, View, drawn
from submission.training.common.held_out import split_held_out

SEED = 1000  # trainings have small ones
BANDS = (16, 64, 256)  # directions, the leading ones first, that a band of them ends before


@dataclass(frozen=True)
class Seen:
    """What a network sees of a set.

    Attributes:
        means_CF: of the features of each class.
        covariance_FF: within a class, all classes pooled.
        recognised: share of the images whose class the network tells.
    """

    means_CF: Tensor
    covariance_FF: Tensor
    recognised: float

    @property
    def variance(self) -> float:
        """Within a class, of all features together."""
        return float(self.covariance_FF.trace())


@dataclass(frozen=True)
class Row:
    """One set to one network at one age, as the module's first lines say."""

    images: str
    ipc: float
    network: int
    age: int
    view: str
    apart: float
    variance: float
    recognised: float
    beside_sampling: tuple[float, ...]


@torch.no_grad()
def seen(images: ImageSet, challenge: Challenge, expert: Expert, device: str, view: View = PLAIN_VIEW) -> Seen:
    """By `expert`, whose weights are on `device`."""
    data = put_on_device(images, challenge, torch.device(device))
    seen_NF = seen_by(expert, data, view=view)
    counts_C1 = data.labels.bincount(minlength=challenge.classes)[:, None]
    means_CF = torch.zeros(challenge.classes, seen_NF.shape[1], device=device)
    means_CF = means_CF.index_add_(0, data.labels, seen_NF) / counts_C1
    within_NF = seen_NF - means_CF[data.labels]
    freedom = len(data) - challenge.classes  # so that small sets are not taken for narrow ones
    logits_NC = F.linear(seen_NF, expert.weights["head.weight"], expert.weights["head.bias"])
    recognised = (logits_NC.argmax(1) == data.labels).float().mean()
    return Seen(means_CF, within_NF.t() @ within_NF / freedom, float(recognised))


def compare(
    sets: dict[str, ImageSet],
    train: ImageSet,
    challenge: Challenge,
    expert: Expert,
    device: str,
    view: View = PLAIN_VIEW,
) -> list[Row]:
    """A row of each set."""
    real = seen(train, challenge, expert, device, view)
    spread = (real.means_CF - real.means_CF.mean(0)).square().sum(1).mean()
    variances_F, directions_FF = _principal(real.covariance_FF)
    rows = []
    for name, images in sets.items():
        found = seen(images, challenge, expert, device, view)
        error_CF = found.means_CF - real.means_CF
        apart = float(error_CF.square().sum(1).mean() / spread)
        ipc = len(images) / challenge.classes
        squared_F = (error_CF.double() @ directions_FF).square().mean(0)
        bands = torch.tensor_split(squared_F * ipc / variances_F, BANDS)
        beside_sampling = tuple(float(band.mean()) for band in bands if len(band))
        variance = found.variance / real.variance
        rows.append(
            Row(name, ipc, expert.network, expert.age, view.kind, apart, variance, found.recognised, beside_sampling)
        )
    return rows


def _principal(covariance_FF: Tensor) -> tuple[Tensor, Tensor]:
    """The variances, float64 (D,) descending, and directions (F, D) in which there is any."""
    variances_F, directions_FF = torch.linalg.eigh(covariance_FF.double())
    varies_F = variances_F > 1e-6 * variances_F[-1]
    return variances_F[varies_F].flip(0), directions_FF[:, varies_F].flip(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--generator", default="distilled", help="default: %(default)s")
    parser.add_argument("--weights", help="default: the shipped ones")
    parser.add_argument("--ipc", type=int, default=100, help="images per class (default: %(default)s)")
    parser.add_argument("--networks", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--ages", type=int, nargs="+", default=[0, 1, 2, 4], help="epochs (default: 0 1 2 4)")
    parser.add_argument("--views", nargs="+", default=[], choices=KINDS, help="beside the plain one (default: none)")
    parser.add_argument("--device", default="cpu", help="default: %(default)s")
    parser.add_argument("--work", type=Path, required=True, help="folder that the networks are kept in")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    challenge = get_challenge(options.dataset)
    train, held_out = split_held_out(load_split(challenge, "train", data_folder(options.data)))
    sets = {
        options.generator: images_of(options, challenge, options.ipc, train),
        "random real": random_subset(train, options.ipc, seed=0),
        "held-out real": held_out,
    }
    with progress_bar("Training networks") as update:
        experts = experts_for(
            train, challenge, options.networks, tuple(options.ages), SEED, options.device, options.work, update
        )
    draws = torch.Generator().manual_seed(SEED)
    views = [PLAIN_VIEW, *(drawn(kind, draws) for kind in options.views)]
    rows = []
    for expert, view in product(experts, views):
        for row in compare(sets, train, challenge, expert, options.device, view):
            rows.append(row)
            print(
                f"network {row.network + 1}, {row.age} epochs, {row.view}: {row.images} {row.apart:.3f} apart, variance"
                f" {row.variance:.2f}, {row.recognised:.1%} recognised, beside sampling"
                f" {', '.join(f'{band:.2f}' for band in row.beside_sampling)}",
                flush=True,
            )
    report = {
        "machine": asdict(this_machine(options.device)),
        "dataset": challenge.name,
        "bands": BANDS,
        "views": [asdict(view) for view in views],
        "rows": [asdict(row) for row in rows],
    }
    options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
