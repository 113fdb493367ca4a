"""Does `gaussian` copy? Are its samples nearer to the half of the training images that was fitted than to the other?

    python -m benchmarks.gaussian_copying --dataset cifar100 --data DIR

Both halves are drawn alike, so a generator that copies nothing is as often nearer to the one as to the other, however
blurred its images are (the test of Meehan, Chaudhuri and Dasgupta, 2020). Clusters are halved with the images: those
of the shipped weights come from as many images each.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from benchmarks.generated import generated
from benchmarks.machine import machine
from benchmarks.near_copies import nearest_distances
from evaluation.base.challenge import get_challenge
from evaluation.base.images import ImageSet
from evaluation.data.datasets import data_folder, load_split
from submission.generators.gaussian import Gaussian
from submission.training.mixtures.gaussian import LARGEST_SIZE, GaussianSettings, fit, with_mirror_images

RESULTS = Path(__file__).parent / "results"
NEAR = 0.8  # a sample this much nearer to the one half than to the other is near to one image, not to its class


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--clusters", type=int, default=64, help="of a fit to all images (default: %(default)s)")
    parser.add_argument("--leasts", type=int, nargs="+", default=[1, 10, 20])
    parser.add_argument("--spreads", type=float, nargs="+", default=[1.0, 0.5])
    parser.add_argument("--covariance", default="scaled")
    parser.add_argument("--mirrored", action="store_true")
    parser.add_argument("--ipc", type=int, default=20, help="samples per class (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/gaussian-copying-<dataset>.json")
    args = parser.parse_args()
    challenge = get_challenge(args.dataset)
    fitted, other = _halves(load_split(challenge, "train", data_folder(args.data)))
    seen, unseen = (with_mirror_images(half) if args.mirrored else half for half in (fitted, other))
    settings = GaussianSettings(
        clusters=max(args.clusters // 2, 1), covariance=args.covariance, mirrored=args.mirrored, spread=1.0
    )

    rows = []
    for least in args.leasts:
        mixture = fit(fitted, replace(settings, least=least))
        for spread in args.spreads:
            made, _ = generated(Gaussian(mixture, min(challenge.size, LARGEST_SIZE), spread), challenge, args.ipc, 1)
            to_seen_N, to_unseen_N = nearest_distances(made, seen), nearest_distances(made, unseen)
            row = {
                "least": least,
                "clusters_used": float((mixture.shares_CK > 0).sum(1).float().mean()),
                "spread": spread,
                "samples": len(made),
                "nearer_to_fitted": _share(to_seen_N < to_unseen_N),
                "much_nearer_to_fitted": _share(to_seen_N < NEAR * to_unseen_N),
                "much_nearer_to_other": _share(to_unseen_N < NEAR * to_seen_N),
                "median_to_fitted": float(to_seen_N.median()),
                "median_to_other": float(to_unseen_N.median()),
            }
            rows.append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)

    told = {
        "dataset": challenge.name,
        "fitted_images": len(fitted),
        "settings": {name: value for name, value in asdict(settings).items() if name not in ("least", "spread")},
        "near": NEAR,
        "rows": rows,
        "machine": machine(),
    }
    path = args.out or RESULTS / f"gaussian-copying-{challenge.name}.json"
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(path)


def _halves(images: ImageSet) -> tuple[ImageSet, ImageSet]:
    """Two halves, each with half of every class, at random."""
    order_N = np.random.default_rng(0).permutation(len(images))
    order_N = order_N[np.argsort(images.labels[order_N], kind="stable")]
    return images.take(order_N[::2]), images.take(order_N[1::2])


def _share(holds_N: Tensor) -> float:
    return float(holds_N.float().mean())


if __name__ == "__main__":
    main()
