"""Which components and clusters serve the `gaussian` generator best, on held-out training images.

    python -m benchmarks.gaussian_sweep --dataset cifar100 --data DIR

Fits on 90% of the training split, and reports for each setting the accuracy of the judge's network on the other 10%
after a short training on the samples (one round, so differences of a point are noise), the energy distance between
samples and held-out images of the same class, and how near the samples come to the images that were fitted.
"""

from __future__ import annotations

import argparse
import time
from itertools import product
from pathlib import Path

from benchmarks.generated import NearnessTo, generated, keep_row
from benchmarks.machine import machine
from evaluation.base.challenge import get_challenge
from evaluation.data.datasets import data_folder, load_split
from evaluation.judge.score import judge
from submission.generators.gaussian import Gaussian
from submission.training.common.held_out import hold_out
from submission.training.mixtures.gaussian import COVARIANCES, LARGEST_SIZE, GaussianSettings, fit
from submission.training.native.choose import class_distance

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--components", type=int, nargs="+", default=[100, 300, 600])
    parser.add_argument("--clusters", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--covariances", choices=COVARIANCES, nargs="+", default=list(COVARIANCES))
    parser.add_argument("--mirrored", action="store_true", help="fit mirror images as well")
    parser.add_argument("--leasts", type=int, nargs="+", default=[10])
    parser.add_argument("--spreads", type=float, nargs="+", default=[1.0])
    parser.add_argument("--ipc", type=int, default=45)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/gaussian-sweep-<dataset>.json")
    args = parser.parse_args()
    challenge = get_challenge(args.dataset)
    train, held_out = hold_out(load_split(challenge, "train", data_folder(args.data)))
    size = min(challenge.size, LARGEST_SIZE)

    told = {
        "dataset": challenge.name,
        "ipc": args.ipc,
        "epochs": args.epochs,
        "rounds": 1,
        "held_out_images": len(held_out),
        "machine": machine(),
        "rows": [],
    }
    out = args.out or RESULTS / f"gaussian-sweep-{challenge.name}.json"
    near = NearnessTo(train, held_out, args.mirrored)
    for components, clusters, covariance, least, spread in product(
        args.components, args.clusters, args.covariances, args.leasts, args.spreads
    ):
        began = time.monotonic()
        settings = GaussianSettings(components, clusters, covariance, args.mirrored, least=least)
        mixture = fit(train, settings)
        generator = Gaussian(mixture, size, spread)
        fitted = time.monotonic()
        made, speed = generated(generator, challenge, args.ipc, 1, batch=1000)
        score = judge(made, held_out, challenge, rounds=1, epochs=args.epochs)
        row = {
            "components": len(generator.spread_PD),
            "clusters": clusters,
            "covariance": covariance,
            "mirrored": args.mirrored,
            "least": least,
            "clusters_used": float((mixture.shares_CK > 0).sum(1).float().mean()),
            "spread": spread,
            "accuracy": score.mean,
            "distance": class_distance(made, held_out),
            **near.of(made),
            "fit_s": fitted - began,
            "images_per_s": speed,
        }
        keep_row(out, told, row)
    print(out)


if __name__ == "__main__":
    main()
