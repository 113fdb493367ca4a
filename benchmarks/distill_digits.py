"""What consistency tuning makes of one and two steps, on digits: beside the weights that it begins with.

    python -m benchmarks.distill_digits

Tunes the shipped weights with the command's own defaults, then judges one, two and the default number of steps of
both, on the held-out training images that neither has seen. Among the ways in which the weights from before are
sampled is the tuned model's own, at the noise level where they are best at it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.generated import generated, worth
from benchmarks.machine import machine
from evaluation.base.challenge import get_challenge
from evaluation.base.images import ImageSet
from evaluation.data.datasets import load_split
from submission.contract.generator import LoadContext
from submission.contract.weights import read_header
from submission.diffusion.samplers import CONSISTENCY
from submission.generators.native import Native
from submission.training.common.held_out import hold_out
from submission.training.native.choose import distance_of
from submission.training.native.distill import MIDDLES

RESULT = Path(__file__).parent / "results" / "distill-digits.json"
DIGITS = get_challenge("digits")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, help="tuned already; default: they are tuned now")
    parser.add_argument("--ipc", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    _, held_out = hold_out(load_split(DIGITS, "train", None))
    with TemporaryDirectory() as folder:
        began = time.monotonic()
        tuned = args.weights or tune(Path(folder) / "tuned")
        told = {
            "dataset": "digits",
            "epochs": args.epochs,
            "preview": True,
            "held_out_images": len(held_out),
            "tuning_s": None if args.weights else round(time.monotonic() - began, 1),
            "tuned": dict(read_header(tuned).model),
            "machine": machine(),
            "rows": [],
        }
        for name, native, steps in sampled(tuned, held_out):
            made, speed = generated(native, DIGITS, args.ipc, steps)
            row = {"weights": name, "solver": native.solver, "middle": native.middle, "steps": steps}
            row |= {"images_per_s": round(speed, 1), **worth(made, held_out, DIGITS, args.rounds, args.epochs)}
            told["rows"].append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)
    RESULT.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(RESULT)


def tune(out: Path) -> Path:
    """The command itself, with its defaults."""
    command = [sys.executable, "-m", "submission.training", "distill", "--dataset", "digits", "--out", str(out)]
    subprocess.run(command, check=True)
    return out / "native-digits.safetensors"


def sampled(tuned: Path, held_out: ImageSet) -> Iterator[tuple[str, Native, int]]:
    """Name of the weights, generator and steps."""
    shipped = Native.find_weights(DIGITS, None)
    model = read_header(shipped).model
    yield "shipped", Native.load(LoadContext(DIGITS, "cpu", shipped)), model["steps"]
    denoiser = Native.load(LoadContext(DIGITS, "cpu", shipped)).denoiser
    for solver, steps in (("dpm2m", 1), ("dpm2m", 2), ("ipndm", 2), ("dpm2m", 4)):
        yield "shipped", Native(denoiser, solver), steps
    renoised = [Native(denoiser, CONSISTENCY, middle=middle) for middle in MIDDLES]
    yield "shipped", min(renoised, key=lambda native: distance_of(partial(native.generate, steps=2), held_out, 50)), 2
    for steps in (1, 2):
        yield "tuned", Native.load(LoadContext(DIGITS, "cpu", tuned)), steps


if __name__ == "__main__":
    main()
