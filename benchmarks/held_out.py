"""What a generator's images are worth on held-out training images, and how near they come to what it was trained on.

    python -m benchmarks.held_out --dataset cifar100 --data DIR --generator matched --weights FILE --ipc 45 --epochs 120

For choosing between generators that were trained on nine tenths of the training split (`hold_out`); the test set is not
read. Few epochs mislead: fewer than about 100 have put settings in the wrong order.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.generated import NearnessTo, generated, worth
from benchmarks.machine import machine
from benchmarks.near_copies import REAL_SHARE
from evaluation.base.challenge import get_challenge
from evaluation.data.datasets import data_folder, load_split
from submission.contract.generator import Generator, LoadContext, get_generator
from submission.training.common.held_out import hold_out

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--generator", required=True)
    parser.add_argument("--weights", help="default: the shipped ones")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--steps", type=int, help="default: the generator's")
    parser.add_argument("--ipc", type=int, default=45)
    parser.add_argument("--epochs", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/held-out-DATASET-GENERATOR.json")
    args = parser.parse_args()
    challenge, kind = get_challenge(args.dataset), get_generator(args.generator)
    settings = dict(setting.split("=", 1) for setting in args.settings)
    kind.check_settings(settings)
    path = kind.find_weights(challenge, args.weights)
    steps = args.steps or kind.default_steps(path)
    train, held_out = hold_out(load_split(challenge, "train", data_folder(args.data)))
    generator = kind.load(LoadContext(challenge, args.device, path, settings=settings))
    if not isinstance(generator, Generator):
        raise SystemExit(f"{args.generator} chooses among real images: it makes none to look at")
    made, speed = generated(generator, challenge, args.ipc, steps)
    told = {
        "dataset": challenge.name,
        "generator": args.generator,
        "settings": settings,
        "steps": steps,
        "epochs": args.epochs,
        "held_out_images": len(held_out),
        **worth(made, held_out, challenge, args.rounds, args.epochs, args.device),
        "images_per_s": speed,
        "real_share": REAL_SHARE,
        **NearnessTo(train, held_out, mirrored=True).of(made),
        "machine": machine(),
    }
    out = args.out or RESULTS / f"held-out-{challenge.name}-{args.generator}.json"
    out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
