"""Does dropping the least class-likely images help the judge at the same budget? `--keep` on digits.

    python -m benchmarks.keep_ablation

Every share gets the same seconds of making and scoring, at the speeds that are measured here first, so that a share
pays for what it drops. Judged on the held-out training images, which neither the generator nor the scorer has seen.
All shares of one seed begin with the same images.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.generated import BATCH, generated, worth
from benchmarks.machine import machine
from evaluation.challenge import get_challenge
from evaluation.datasets import load_split
from evaluation.images import ImageSet
from evaluation.score import student_interval
from submission.generator import LoadContext
from submission.generators.native import Native
from submission.keeping import Keeper, block_of
from submission.schedule import interleaved
from submission.scorer import Scorer, load_scorer
from submission.training.held_out import hold_out

RESULT = Path(__file__).parent / "results" / "keep-digits.json"
DIGITS = get_challenge("digits")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=float, nargs="+", default=[1.0, 0.9, 0.75])
    parser.add_argument("--made", type=int, default=40, help="images of a class that the budget gives without scoring")
    parser.add_argument("--steps", type=int, help="default: those of the weights")
    parser.add_argument("--seeds", type=int, default=5, help="of images; each is judged in one round of its own")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args()
    _, held_out = hold_out(load_split(DIGITS, "train", None))
    native, scorer = Native.load(LoadContext(DIGITS, "cpu")), load_scorer(DIGITS, "cpu")
    steps = args.steps or Native.default_steps(Native.find_weights(DIGITS, None))
    told: dict[str, Any] = {
        "dataset": "digits",
        "generator": "native",
        "steps": steps,
        "made": args.made,
        "epochs": args.epochs,
        "preview": True,
        "held_out_images": len(held_out),
        "machine": machine(),
        "runs": [],
    }
    for seed in range(args.seeds):
        made, speed = generated(native, DIGITS, args.made, steps, seed)
        scoring_s = seconds_of_scoring(made, scorer) / len(made)
        for keep in args.keep:
            paid = args.made if keep == 1 else int(args.made / (1 + scoring_s * speed))
            found = {"keep": keep, "seed": seed, "images_per_s": round(speed, 1), "scoring_s": scoring_s}
            found |= worth(sifted(made, paid, keep, scorer), held_out, DIGITS, 1, args.epochs, judge_seed=seed)
            told["runs"].append(found)
            print(json.dumps(found), file=sys.stderr, flush=True)
    told["shares"] = [summary(keep, told["runs"], args.keep[0]) for keep in args.keep]
    args.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(args.out)


def seconds_of_scoring(made: ImageSet, scorer: Scorer) -> float:
    """For all of `made`, in batches, after the first."""
    images, labels = torch.from_numpy(made.images), torch.from_numpy(made.labels)
    scorer.score(images[:BATCH], labels[:BATCH])
    began = time.monotonic()
    for part in zip(images.split(BATCH), labels.split(BATCH), strict=True):
        scorer.score(*part)
    return time.monotonic() - began


def sifted(made: ImageSet, paid: int, keep: float, scorer: Scorer) -> ImageSet:
    """What a run keeps that has time for `paid` images of each class; `made` is round after round over the classes."""
    block = block_of(keep)
    most = block.whole(len(made) // DIGITS.classes)
    places = list(islice(interleaved(DIGITS.classes, most, block.made), paid * DIGITS.classes))
    index = np.array([number * DIGITS.classes + label for label, number in places])
    if keep == 1:
        return made.take(index)
    images, kept = Keeper(block, scorer, None).sift(torch.from_numpy(made.images[index]), places)
    return ImageSet(images.numpy(), np.array([label for label, _ in kept], np.int64))


def summary(keep: float, all_runs: list[dict[str, Any]], against: float) -> dict[str, Any]:
    """Means over the seeds, with the intervals of the accuracy and, seed by seed, of its gain over `against`."""
    runs, others = ([run for run in all_runs if run["keep"] == share] for share in (keep, against))
    gains = [run["accuracy"] - other["accuracy"] for run, other in zip(runs, others, strict=True)]
    accuracies = [run["accuracy"] for run in runs]
    return {
        "keep": keep,
        "runs": len(runs),
        "ipc": sum(run["ipc"] for run in runs) / len(runs),
        "accuracy": sum(accuracies) / len(runs),
        "ci95": student_interval(accuracies),
        "gain": sum(gains) / len(runs),
        "gain_ci95": student_interval(gains),
        "distance": sum(run["distance"] for run in runs) / len(runs),
    }


if __name__ == "__main__":
    main()
