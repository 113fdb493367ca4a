"""Accuracy of a generator, or of random real images, on held-out training images: what choices are made on.

    python -m benchmarks.held_out --dataset cifar100 --data DIR --generator distilled --ipc 64 --epochs 60
    python -m benchmarks.held_out --dataset cifar100 --data DIR --generator real --ipc 64,128 --steps 1500

Weights must come from the project's own trainings, which hold out the same tenth of the training split. With `--steps`
every IPC is judged with about as many SGD steps instead of as many epochs. Rows are kept: the same command goes on.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.images.generated import NearnessTo, generated, save_row, worth
from evaluation.base.challenge import Challenge, get_challenge
from evaluation.base.images import ImageSet, random_subset
from evaluation.base.machine import this_machine
from evaluation.data.datasets import data_folder, load_split
from evaluation.judge.protocol import Protocol
from submission.contract.generator import Generator, LoadContext, get_generator
from submission.training.common.held_out import split_held_out

REAL = "real"


def images_of(options: argparse.Namespace, challenge: Challenge, ipc: int, train: ImageSet) -> ImageSet:
    """`ipc` images a class, of the generator or drawn from `train`."""
    if options.generator == REAL:
        return random_subset(train, ipc, seed=0)
    kind = get_generator(options.generator)
    path = kind.find_weights(challenge, options.weights)
    generator = kind.load(LoadContext(challenge, options.device, path))
    if not isinstance(generator, Generator):
        raise SystemExit(
            f"{options.generator} chooses among real images, the held-out ones too: it cannot be judged so"
        )
    return generated(generator, challenge, ipc, kind.default_steps(path))[0]


def epochs_for(steps: int, images: int) -> int:
    """Epochs of which a judgement on so many images makes about `steps` SGD steps."""
    protocol = Protocol()
    return max(1, round(steps / protocol.steps_per_pass(images)) - 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--generator", required=True, help="a name, or `real` for random real images")
    parser.add_argument("--weights", help="default: the shipped ones")
    parser.add_argument("--ipc", required=True, help="images per class, comma-separated")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--epochs", type=int)
    length.add_argument("--steps", type=int, help="SGD steps, for every IPC")
    parser.add_argument("--rounds", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--device", default="cpu", help="default: %(default)s")
    parser.add_argument("--note", default="", help="what the row should say of the weights")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    challenge = get_challenge(options.dataset)
    train, held_out = split_held_out(load_split(challenge, "train", data_folder(options.data)))
    report: dict[str, Any] = {"dataset": challenge.name, "held_out_images": len(held_out), "rows": []}
    if options.out.exists():
        report = json.loads(options.out.read_text(encoding="utf-8"))
    report["machine"] = this_machine(options.device).__dict__
    nearness = None if options.generator == REAL else NearnessTo(train, held_out, mirrored=True)
    for ipc in map(int, options.ipc.split(",")):
        images = ipc * challenge.classes
        epochs = options.epochs or epochs_for(options.steps, images)
        row: dict[str, Any] = {"generator": options.generator, "note": options.note, "epochs": epochs}
        row["sgd_steps"] = Protocol(epochs).passes * Protocol().steps_per_pass(images)
        if any(row.items() <= done.items() and done["ipc"] == ipc for done in report["rows"]):
            continue
        made = images_of(options, challenge, ipc, train)
        row |= worth(made, held_out, challenge, options.rounds, epochs, options.device)
        save_row(options.out, report, row | (nearness.of(made) if nearness else {}))


if __name__ == "__main__":
    main()
