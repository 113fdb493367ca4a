"""Which solver, steps, guidance and noise scale serve the judge best, for given weights of `native`.

    python -m benchmarks.native_sweep --dataset cifar100 --data DIR --weights FILE

Every combination makes the same number of images from the same seeds. They are judged on the tenth of the training
split that the weights have not seen, with few epochs, and beside the accuracy stands the energy distance between made
and held-out images of the same class. A step count is worth what it costs: `images_per_s` says that. For a
consistency model leave out --solvers and --guidance. --write makes a weights file of which the most accurate
combination is the default.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.generated import generated, keep_row, worth
from benchmarks.machine import machine
from evaluation.base.challenge import Challenge, get_challenge
from evaluation.data.datasets import data_folder, load_split
from submission.contract.generator import LoadContext
from submission.contract.weights import load_weights, read_header, save_weights
from submission.generators.native import Native
from submission.training.common.held_out import hold_out

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--weights", help="default: the shipped ones")
    parser.add_argument("--solvers", nargs="+", help="default: the one of the weights")
    parser.add_argument("--steps", type=int, nargs="+", help="default: those of the weights")
    parser.add_argument("--guidance", nargs="+", default=["1"])
    parser.add_argument("--noise-scale", nargs="+", default=["1"])
    parser.add_argument("--ipc", type=int, default=45)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/native-sweep-DATASET.json")
    parser.add_argument("--write", type=Path, metavar="FILE", help="the weights again, with what served best")
    args = parser.parse_args()
    challenge = get_challenge(args.dataset)
    path = Native.find_weights(challenge, args.weights)
    model = read_header(path).model
    train, held_out = hold_out(load_split(challenge, "train", data_folder(args.data)))
    told = {
        "dataset": challenge.name,
        "weights": dict(model),
        "epochs": args.epochs,
        "preview": True,
        "held_out_images": len(held_out),
        "trained_on": len(train),
        "machine": machine(),
        "rows": [],
    }
    out = args.out or RESULTS / f"native-sweep-{challenge.name}.json"
    candidates = product(
        args.solvers or [model["solver"]], args.guidance, args.noise_scale, args.steps or [model["steps"]]
    )
    for solver, guidance, noise_scale, steps in candidates:
        settings = {"solver": solver, "guidance": guidance, "noise_scale": noise_scale}
        native = Native.load(LoadContext(challenge, args.device, path, settings=settings))
        made, speed = generated(native, challenge, args.ipc, steps)
        row = {**settings, "steps": steps, "images_per_s": round(speed, 1)}
        row |= worth(made, held_out, challenge, args.rounds, args.epochs, args.device)
        keep_row(out, told, row)
    print(out)
    if args.write:
        write_with(args.write, path, challenge, max(told["rows"], key=lambda row: row["accuracy"]))


def write_with(out: Path, weights: Path, challenge: Challenge, row: Mapping[str, Any]) -> None:
    """`weights` again, with the combination of `row` as what they are sampled with by default."""
    tensors, header = load_weights(weights, "native", challenge)
    chosen = {"solver": row["solver"], "steps": row["steps"]}
    chosen |= {name: float(row[name]) for name in ("guidance", "noise_scale")}
    save_weights(out, tensors, replace(header, model={**header.model, **chosen}))


if __name__ == "__main__":
    main()
