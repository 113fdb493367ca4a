"""How fast prototypes are moved: images a second of a step of `distilled`, and its share of the machine's roofline.

    python -m benchmarks.training.distilling

A step takes the gradient of its loss for every prototype. What is measured is whole steps, with Adam, of the recipe's
own sizes; the expert and the means are random, as the work does not depend on what they hold.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median

import torch

from benchmarks.roofline import arithmetic_of, arithmetics, image_gradient_cost, measure_ceilings
from evaluation.base.challenge import Challenge, get_challenge
from evaluation.base.machine import this_machine
from evaluation.judge.convnet import ConvNet
from submission.distillation.experts import Expert
from submission.distillation.optimise import Optimisation
from submission.distillation.recipe import RECIPES, Recipe
from submission.distillation.targets import Target
from submission.distillation.views import View


def optimisation(challenge: Challenge, recipe: Recipe, device: str) -> Optimisation:
    """Of random prototypes against one random expert that gives labels."""
    generator = torch.Generator().manual_seed(0)
    network = ConvNet(challenge.classes, challenge.size)
    weights = {name: value.detach().to(device) for name, value in network.named_parameters()}
    features = weights["head.weight"].shape[1]
    means_CGF = torch.randn(challenge.classes, recipe.groups, features, generator=generator).to(device)
    target = Target(
        Expert(0, recipe.label_age, weights), View(), means_CGF.mean(1), 1.0, means_CGF.to(torch.bfloat16), 1.0
    )
    side = min(challenge.size, 32)
    start_CK3HW = torch.rand(challenge.classes, recipe.prototypes, 3, side, side, generator=generator)
    group_CK = (torch.arange(recipe.prototypes) % recipe.groups).expand(challenge.classes, -1)
    return Optimisation(start_CK3HW, group_CK, [target], recipe, challenge, 0, device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="cifar100")
    parser.add_argument("--prototypes", type=int, help="per class; default: the recipe's")
    parser.add_argument("--steps", type=int, default=5, help="that are timed (default: %(default)s)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/distilling-<machine>.json")
    options = parser.parse_args()

    challenge, recipe = get_challenge(options.dataset), RECIPES[options.dataset]
    recipe = replace(recipe, prototypes=options.prototypes or recipe.prototypes)
    device, machine = torch.device(options.device), this_machine(options.device)
    training = optimisation(challenge, recipe, options.device)
    training.step()  # compiles what is compiled
    seconds = []
    for _ in range(options.steps):
        began = time.perf_counter()
        float(training.step())  # waits for a card
        seconds.append(time.perf_counter() - began)
    training.close()
    images_per_s = training.batch / median(seconds)
    arithmetic = arithmetic_of(training.dtype, device)
    ceilings = measure_ceilings(device, arithmetics(device))
    cost = image_gradient_cost(challenge.size, challenge.classes, arithmetic)
    share = ceilings.fraction(cost, images_per_s, arithmetic)
    report = {
        "machine": asdict(machine),
        "dataset": challenge.name,
        "prototypes": recipe.prototypes,
        "step_seconds": seconds,
        "images_per_s": images_per_s,
        "arithmetic": arithmetic,
        "ceilings": asdict(ceilings),
        "fraction_of_ceiling": asdict(share),
    }
    out = options.out or Path("benchmarks/results") / f"distilling-{machine.label}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"{images_per_s:.0f} images/s, {share.roofline:.0%} of the roofline in {arithmetic}; written to {out}")


if __name__ == "__main__":
    main()
