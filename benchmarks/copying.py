"""Does a generator copy? How near its images come to the training images, in two ways.

    python -m benchmarks.copying held-out --dataset cifar100 --data DIR --generator native --weights FILE
    python -m benchmarks.copying halves --dataset cifar100 --data DIR --mirrored --ipc 10

`held-out`, for a model card: the fraction of near-copies among generated images, where 0.01 is what held-out training
images show. `halves`, for `gaussian`: fitted to a random half of the training images, are its samples nearer to that
half than to the other? A generator that copies nothing is as often nearer to the one as to the other, however blurred
its images are (the test of Meehan, Chaudhuri and Dasgupta, 2020). Clusters are halved with the images: those of the
shipped weights come from as many images each.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from benchmarks.images.generated import generated
from benchmarks.images.near_copies import REAL_SHARE, measure_nearness, nearest_distances
from evaluation.base.challenge import Challenge, get_challenge
from evaluation.base.images import ImageSet, first_of_each
from evaluation.base.machine import this_machine
from evaluation.data.datasets import data_folder, load_split
from submission.contract.generator import Generator, LoadContext, get_generator
from submission.contract.weights import read_header
from submission.generators.gaussian import Gaussian
from submission.training.common.held_out import split_held_out
from submission.training.mixtures.gaussian import (
    COVARIANCES,
    LARGEST_SIZE,
    GaussianSettings,
    fit,
    with_mirror_images,
)

RESULTS = Path(__file__).parent / "results"
NEAR = 0.8  # a sample this much nearer to one half than to the other is near to one image, not to its class


def against_held_out(options: argparse.Namespace, challenge: Challenge, split: ImageSet) -> dict[str, Any]:
    """Images of weights that were trained on nine tenths of `split`, beside the images of the other tenth."""
    kind = get_generator(options.generator)
    path = kind.find_weights(challenge, options.weights)
    if path is None:
        raise SystemExit(f"{options.generator} has no weights that could have memorised an image")
    steps, (train, held_out) = kind.default_steps(path), split_held_out(split)
    generator = kind.load(LoadContext(challenge, options.device, path))
    if not isinstance(generator, Generator):
        raise SystemExit(f"{options.generator} chooses among real images: it makes none to look at")
    made, _ = generated(generator, challenge, options.ipc, steps)
    return {
        "generator": options.generator,
        "weights": dict(read_header(path).model),
        "steps": steps,
        "ipc": options.ipc,
        "real_share": REAL_SHARE,
        **asdict(measure_nearness(made, first_of_each(held_out, options.ipc), train)),
    }


def between_halves(options: argparse.Namespace, challenge: Challenge, split: ImageSet) -> dict[str, Any]:
    """Samples of `gaussian` fitted to one half of `split`, beside both halves; a row for each way to fit and sample."""
    fitted, other = _halves(split)
    seen, unseen = (with_mirror_images(half) if options.mirrored else half for half in (fitted, other))
    settings = GaussianSettings(
        clusters=max(options.clusters // 2, 1), covariance=options.covariance, mirrored=options.mirrored
    )
    rows = []
    mixtures = {least: fit(fitted, replace(settings, least=least)) for least in options.leasts}
    for (least, mixture), spread in product(mixtures.items(), options.spreads):
        generator = Gaussian(mixture, min(challenge.size, LARGEST_SIZE), spread)
        made, _ = generated(generator, challenge, options.ipc, 1)
        to_seen_N, to_unseen_N = nearest_distances(made, seen), nearest_distances(made, unseen)
        row = {
            "least": least,
            "clusters_used": float((mixture.shares_CK > 0).sum(1).float().mean()),
            "spread": spread,
            "samples": len(made),
            "nearer_to_fitted": _fraction(to_seen_N < to_unseen_N),
            "much_nearer_to_fitted": _fraction(to_seen_N < NEAR * to_unseen_N),
            "much_nearer_to_other": _fraction(to_unseen_N < NEAR * to_seen_N),
            "median_to_fitted": float(to_seen_N.median()),
            "median_to_other": float(to_unseen_N.median()),
        }
        rows.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)
    fixed = {name: value for name, value in asdict(settings).items() if name not in ("least", "spread")}
    return {"generator": "gaussian", "fitted_images": len(fitted), "settings": fixed, "near": NEAR, "rows": rows}


ARMS = {"held-out": against_held_out, "halves": between_halves}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("arm", choices=ARMS)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--ipc", type=int, help="images per class; default: held-out 10, halves 20")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/copying-<arm>-<dataset>-<generator>.json")
    held_out = parser.add_argument_group("held-out")
    held_out.add_argument("--generator", default="native", help="default: %(default)s")
    held_out.add_argument("--weights", help="default: the shipped ones")
    halves = parser.add_argument_group("halves")
    halves.add_argument("--clusters", type=int, default=64, help="of a fit to all images; default: %(default)s")
    halves.add_argument("--leasts", type=int, nargs="+", default=[1, 10, 20])
    halves.add_argument("--spreads", type=float, nargs="+", default=[1.0, 0.5])
    halves.add_argument("--covariance", choices=COVARIANCES, default="scaled")
    halves.add_argument("--mirrored", action="store_true", help="fit mirror images as well")
    options = parser.parse_args()
    options.ipc = options.ipc or (10 if options.arm == "held-out" else 20)
    challenge = get_challenge(options.dataset)
    found = ARMS[options.arm](options, challenge, load_split(challenge, "train", data_folder(options.data)))
    report = {"dataset": challenge.name, **found, "machine": asdict(this_machine(options.device))}
    out = options.out or RESULTS / f"copying-{options.arm}-{challenge.name}-{found['generator']}.json"
    out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(out)


def _halves(images: ImageSet) -> tuple[ImageSet, ImageSet]:
    """Two halves, each with half of every class, at random."""
    order_N = np.random.default_rng(0).permutation(len(images))
    order_N = order_N[np.argsort(images.labels[order_N], kind="stable")]
    return images.take(order_N[::2]), images.take(order_N[1::2])


def _fraction(holds_N: Tensor) -> float:
    return float(holds_N.float().mean())


if __name__ == "__main__":
    main()
