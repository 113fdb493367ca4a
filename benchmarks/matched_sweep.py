"""Which settings of the training serve `matched` best, on held-out training images.

    python -m benchmarks.matched_sweep --dataset cifar100 --data DIR --clusters 16 --spread 0.5 0.25 --steps 200

Trains every combination with the same experts and judges one image of each cluster on the tenth of the training split
that nothing was trained on. Combinations that `--out` has already, with as many rounds, are not trained again.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path

from benchmarks.generated import NearnessTo, generated, keep_row, worth
from benchmarks.machine import machine
from evaluation.base.challenge import get_challenge
from evaluation.data.datasets import data_folder, load_split
from submission.generators.matched import Matched
from submission.training.common.held_out import hold_out
from submission.training.mixtures.experts import experts_for
from submission.training.mixtures.gaussian import LARGEST_SIZE
from submission.training.mixtures.matched import RECIPES
from submission.training.mixtures.matching import Matching, fitted

RESULTS = Path(__file__).parent / "results"
LAST = 20  # steps whose distance is told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--experts", type=Path, help="file that keeps them; default: that of the training's own folder")
    parser.add_argument("--clusters", type=int, nargs="+", default=[16])
    parser.add_argument("--spread", type=float, nargs="+", default=[0.5])
    parser.add_argument("--rate", type=float, nargs="+", default=[0.02])
    parser.add_argument("--label-weight", type=float, nargs="+", default=[0.3])
    parser.add_argument("--steps", type=int, nargs="+", default=[200])
    parser.add_argument("--epochs", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/matched-sweep-DATASET.json")
    args = parser.parse_args()
    challenge = get_challenge(args.dataset)
    train, held_out = hold_out(load_split(challenge, "train", data_folder(args.data)))
    usual, size = RECIPES[challenge.name], min(challenge.size, LARGEST_SIZE)
    cache = args.experts or Path("runs") / f"matched-{challenge.name}" / "experts.pt"
    experts = experts_for(train, challenge, usual.experts, usual.ages, usual.mirrored, 0, args.device, cache)
    about = {
        "dataset": challenge.name,
        "epochs": args.epochs,
        "preview": True,
        "held_out_images": len(held_out),
        "trained_on": len(train),
    }
    out = args.out or RESULTS / f"matched-sweep-{challenge.name}.json"
    told = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {**about, "machine": machine(), "rows": []}
    if {name: told.get(name) for name in about} != about:
        raise SystemExit(f"{out} is of another sweep; choose another --out")
    near = NearnessTo(train, held_out, usual.mirrored)
    for clusters, spread, rate, label_weight, steps in product(
        args.clusters, args.spread, args.rate, args.label_weight, args.steps
    ):
        recipe = replace(usual, clusters=clusters, spread=spread, rate=rate, label_weight=label_weight, steps=steps)
        settings = json.loads(json.dumps(asdict(recipe)))
        if any(row["recipe"] == settings and len(row["rounds"]) >= args.rounds for row in told["rows"]):
            continue
        began = time.monotonic()
        training = Matching(fitted(train, recipe, 0, args.device), size, experts, recipe, challenge, 0, args.device)
        for step in range(steps):
            if step == max(steps - LAST, 0):
                training.measured()  # from here on
            training.step()
        seconds, apart = time.monotonic() - began, training.measured()["apart"]
        training.close()
        made, _ = generated(Matched(training.matched(), size, spread), challenge, clusters, 1)
        row = {"recipe": settings, "apart": apart, "training_s": round(seconds, 1)}
        row |= worth(made, held_out, challenge, args.rounds, args.epochs, args.device)
        row |= near.of(made)
        keep_row(out, told, row)
    print(out)


if __name__ == "__main__":
    main()
