"""Has `native` memorised? How near its images come to the training images, beside how near real ones come.

    python -m benchmarks.native_nearness --dataset cifar100 --data DIR --weights FILE

For a model card: the share of near-copies among generated images, where 0.01 is what held-out training images show.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from benchmarks.generated import generated
from benchmarks.machine import machine
from benchmarks.near_copies import REAL_SHARE, measure_nearness
from evaluation.base.challenge import get_challenge
from evaluation.data.datasets import data_folder, load_split
from evaluation.data.subset import first_of_each
from submission.contract.generator import LoadContext
from submission.contract.weights import read_header
from submission.generators.native import Native
from submission.training.common.held_out import hold_out

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--weights", help="default: the shipped ones")
    parser.add_argument("--ipc", type=int, default=10)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/native-nearness-DATASET.json")
    args = parser.parse_args()
    challenge = get_challenge(args.dataset)
    path = Native.find_weights(challenge, args.weights)
    steps = Native.default_steps(path)
    train, held_out = hold_out(load_split(challenge, "train", data_folder(args.data)))
    native = Native.load(LoadContext(challenge, args.device, path))
    made, _ = generated(native, challenge, args.ipc, steps)
    told = {
        "dataset": challenge.name,
        "weights": dict(read_header(path).model),
        "steps": steps,
        "ipc": args.ipc,
        "real_share": REAL_SHARE,
        **asdict(measure_nearness(made, first_of_each(held_out, args.ipc), train)),
        "machine": machine(),
    }
    out = args.out or RESULTS / f"native-nearness-{challenge.name}.json"
    out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(out)


if __name__ == "__main__":
    main()
