"""Does dropping the least class-likely images help the judge? `--keep`, at the same seconds or the same IPC.

    python -m benchmarks.keep_ablation
    python -m benchmarks.keep_ablation --dataset cifar100 --data DIR --generator matched --equal-ipc --made 45

Every share gets the same seconds of making and scoring, at the speeds that are measured here first, so that a share
pays for what it drops; with --equal-ipc, for generators whose images cost next to nothing, as many images are kept of
every share. Judged on the held-out training images, which neither the generator nor the scorer has seen. All shares of
one seed begin with the same images.
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
from evaluation.base.challenge import get_challenge
from evaluation.base.images import ImageSet
from evaluation.data.datasets import data_folder, load_split
from evaluation.data.subset import first_of_each
from evaluation.judge.score import student_interval
from submission.contract.generator import Generator, LoadContext, get_generator
from submission.patches.scorer import Scorer, load_scorer
from submission.training.common.held_out import hold_out
from submission.worker.keeping import Keeper, block_of
from submission.worker.schedule import interleaved

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--generator", default="native")
    parser.add_argument("--weights", help="default: the shipped ones")
    parser.add_argument("--keep", type=float, nargs="+", default=[1.0, 0.9, 0.75])
    parser.add_argument("--made", type=int, default=40, help="images of a class that the budget gives without scoring")
    parser.add_argument("--equal-ipc", action="store_true", help="--made images are kept of every share")
    parser.add_argument("--steps", type=int, help="default: those of the weights")
    parser.add_argument("--seeds", type=int, default=5, help="of images; each is judged in one round of its own")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/keep-DATASET.json")
    args = parser.parse_args()
    challenge, kind = get_challenge(args.dataset), get_generator(args.generator)
    _, held_out = hold_out(load_split(challenge, "train", data_folder(args.data)))
    path = kind.find_weights(challenge, args.weights)
    generator, scorer = kind.load(LoadContext(challenge, "cpu", path)), load_scorer(challenge, "cpu")
    if not isinstance(generator, Generator):
        raise SystemExit(f"{args.generator} chooses among real images: it makes none to drop")
    steps = args.steps or kind.default_steps(path)
    told: dict[str, Any] = {
        "dataset": challenge.name,
        "generator": args.generator,
        "steps": steps,
        "made": args.made,
        "equal_ipc": args.equal_ipc,
        "epochs": args.epochs,
        "preview": True,
        "held_out_images": len(held_out),
        "machine": machine(),
        "runs": [],
    }
    most = max(images_for(keep, args.made) for keep in args.keep) if args.equal_ipc else args.made
    for seed in range(args.seeds):
        made, speed = generated(generator, challenge, most, steps, seed)
        scoring_s = seconds_of_scoring(made, scorer) / len(made)
        for keep in args.keep:
            if args.equal_ipc:
                kept = sifted(made, challenge.classes, images_for(keep, args.made), keep, scorer)
                kept = first_of_each(kept, args.made)
            else:
                paid = args.made if keep == 1 else int(args.made / (1 + scoring_s * speed))
                if paid < block_of(keep).made:
                    raise SystemExit(f"the seconds of {args.made} images give no block of {keep:g}: use --equal-ipc")
                kept = sifted(made, challenge.classes, paid, keep, scorer)
            found = {"keep": keep, "seed": seed, "images_per_s": round(speed, 1), "scoring_s": scoring_s}
            found |= worth(kept, held_out, challenge, 1, args.epochs, judge_seed=seed)
            told["runs"].append(found)
            print(json.dumps(found), file=sys.stderr, flush=True)
    told["shares"] = [summary(keep, told["runs"], args.keep[0]) for keep in args.keep]
    out = args.out or RESULTS / f"keep-{challenge.name}.json"
    out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(out)


def images_for(keep: float, ipc: int) -> int:
    """Images of a class to make, so that `ipc` of them are kept."""
    made = block_of(keep).to_make(ipc)
    assert made is not None
    return made


def seconds_of_scoring(made: ImageSet, scorer: Scorer) -> float:
    """For all of `made`, in batches, after the first."""
    images, labels = torch.from_numpy(made.images), torch.from_numpy(made.labels)
    scorer.score(images[:BATCH], labels[:BATCH])
    began = time.monotonic()
    for part in zip(images.split(BATCH), labels.split(BATCH), strict=True):
        scorer.score(*part)
    return time.monotonic() - began


def sifted(made: ImageSet, classes: int, paid: int, keep: float, scorer: Scorer) -> ImageSet:
    """What a run keeps that has time for `paid` images of each class; `made` is round after round over the classes."""
    block = block_of(keep)
    most = block.whole(len(made) // classes)
    places = list(islice(interleaved(classes, most, block.made), paid * classes))
    index = np.array([number * classes + label for label, number in places])
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
