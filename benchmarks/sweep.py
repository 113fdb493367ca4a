"""Which settings serve a generator best, judged on held-out training images; the test split is not read.

    python -m benchmarks.sweep gaussian --dataset cifar100 --data DIR --set clusters=8,64 --set spread=1,0.5
    python -m benchmarks.sweep distilled --dataset cifar100 --data DIR --set groups=1,10 --set steps=80
    python -m benchmarks.sweep distilled --dataset cifar100 --data DIR --every 5 --set prototypes=100 --out FILE
    python -m benchmarks.sweep sampling --generator native --dataset cifar100 --data DIR --set steps=5,8
    python -m benchmarks.sweep distill --dataset digits

Every combination of the values is a row: the accuracy of the judge's network after a short training on the images, the
energy distance between them and held-out images of the same class, and how near they come to the images that were
trained on. Few epochs mislead: fewer than about 100 have put settings in the wrong order. The same command continues
where it was interrupted: rows that `--out` already has, from as many rounds, are not made again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.images.fewer_classes import every_nth
from benchmarks.images.generated import NearnessTo, generated, save_row, worth
from evaluation.base.challenge import Challenge, get_challenge
from evaluation.base.images import ImageSet
from evaluation.base.machine import this_machine
from evaluation.data.datasets import data_folder, load_split
from submission.contract.generator import Generator, LoadContext, get_generator
from submission.contract.weights import load_weights, save_weights
from submission.diffusion.samplers import CONSISTENCY
from submission.distillation.optimise import Optimisation
from submission.distillation.prepare import prepared
from submission.distillation.recipe import RECIPES, Recipe
from submission.generators.gaussian import Gaussian
from submission.generators.native import Native
from submission.training.common.held_out import split_held_out
from submission.training.common.preview import make_images
from submission.training.distilled.command import generator_of
from submission.training.mixtures.gaussian import COVARIANCES, LARGEST_SIZE, GaussianSettings, fit
from submission.training.native.distill import MIDDLES
from submission.training.native.model_selection import class_distance

RESULTS = Path(__file__).parent / "results"
LAST_STEPS = 20  # of the training of `distilled`, over which its distances are averaged

Built = tuple[Generator, dict[str, Any]]


@dataclass(frozen=True)
class Candidate:
    """One row to measure.

    Attributes:
        settings: what tells this row from the others.
        build: trains or loads the generator; returns it with what else the row says.
        steps: that it makes images in.
        ipc: images per class.
        mirrored: whether mirror images of training images count as training images.
    """

    settings: dict[str, Any]
    build: Callable[[], Built]
    ipc: int
    steps: int = 1
    mirrored: bool = True


@dataclass(frozen=True)
class Sweep:
    """What the candidates of an arm are made from.

    Attributes:
        combinations: of the values to try, in the order of the axes.
    """

    options: argparse.Namespace
    challenge: Challenge
    train: ImageSet
    held_out: ImageSet
    combinations: list[dict[str, Any]]


def gaussian(sweep: Sweep) -> Iterator[Candidate]:
    """Mixtures fitted to the training images."""
    for values in sweep.combinations:
        yield Candidate(
            values, partial(_fit, sweep, GaussianSettings(**values)), sweep.options.ipc or 45, 1, values["mirrored"]
        )


def _fit(sweep: Sweep, settings: GaussianSettings) -> Built:
    began = time.monotonic()
    mixture = fit(sweep.train, settings)
    generator = Gaussian(mixture, min(sweep.challenge.size, LARGEST_SIZE), settings.spread)
    return generator, {
        "components_kept": len(generator.factor_PD),
        "clusters_used": float((mixture.shares_CK > 0).sum(1).float().mean()),
        "fit_s": time.monotonic() - began,
    }


def distilled(sweep: Sweep) -> Iterator[Candidate]:
    """Prototypes learned from the same experts, kept in `--experts`; by default one image of each is judged."""
    options, challenge = sweep.options, sweep.challenge
    usual, folder = RECIPES[challenge.name], options.experts or _work_folder(sweep)

    def train(recipe: Recipe) -> Built:
        training = prepared(sweep.train, challenge, recipe, 0, options.device, folder)
        began = time.monotonic()
        measured = _train(training)
        return generator_of(training), measured | _seconds_since(began)

    for values in sweep.combinations:
        recipe = replace(usual, **values)
        yield Candidate(values, partial(train, recipe), options.ipc or recipe.prototypes, 1, usual.mirrored)


def _work_folder(sweep: Sweep) -> Path:
    """Where experts are kept by default: with all classes that of the training, whose experts serve as well."""
    options = sweep.options
    subject = f"{options.arm}-{sweep.challenge.name}"
    return Path("runs") / (subject if options.every == 1 else f"{subject}-every-{options.every}")


def _train(training: Optimisation) -> dict[str, float]:
    """All steps; what was measured in the last of them."""
    for step in range(training.steps):
        if step == max(training.steps - LAST_STEPS, 0):
            training.measured()  # from here on
        training.step()
    measured = training.measured()
    training.close()
    return measured


def _seconds_since(began: float) -> dict[str, float]:
    return {"training_s": round(time.monotonic() - began, 1)}


def sampling(sweep: Sweep) -> Iterator[Candidate]:
    """Ways to sample the weights of any generator: its settings and `steps`."""
    options, challenge = sweep.options, sweep.challenge
    kind = get_generator(options.generator)
    path = kind.find_weights(challenge, options.weights)

    def load(settings: dict[str, Any]) -> Built:
        generator = kind.load(LoadContext(challenge, options.device, path, settings=settings))
        if not isinstance(generator, Generator):
            raise SystemExit(f"{options.generator} chooses among real images: it makes none to sweep over")
        return generator, {}

    for values in sweep.combinations:
        settings = {name: value for name, value in values.items() if name != "steps"}
        kind.resolve_settings(settings)
        steps = int(values.get("steps") or kind.default_steps(path))
        yield Candidate({**settings, "steps": steps}, partial(load, settings), options.ipc or 45, steps)


def distill(sweep: Sweep) -> Iterator[Candidate]:
    """Shipped weights of `native`, and the same after consistency tuning (`--weights`, or tuned now by the command).

    Among the ways to sample the shipped ones is the tuned model's own, at the noise level where they are best at it.
    """
    challenge, options = sweep.challenge, sweep.options
    began = time.monotonic()
    tuned = Path(options.weights) if options.weights else _tuned(challenge)
    tuning = {"tuning_s": None if options.weights else round(time.monotonic() - began, 1)}
    shipped = Native.find_weights(challenge, None)
    own, new = (Native.load(LoadContext(challenge, options.device, path)) for path in (shipped, tuned))
    renoised = [Native(own.denoiser, CONSISTENCY, middle=middle) for middle in MIDDLES]

    def distance(native: Native) -> float:
        made = make_images(partial(native.generate, steps=2), sweep.challenge.classes, 50)
        return class_distance(made, sweep.held_out)

    best = min(renoised, key=distance)
    few = [(Native(own.denoiser, name), n) for name, n in (("dpm2m", 1), ("dpm2m", 2), ("ipndm", 2), ("dpm2m", 4))]
    ways = [("shipped", *way) for way in ((own, Native.default_steps(shipped)), *few, (best, 2))]
    for weights, native, steps in [*ways, ("tuned", new, 1), ("tuned", new, 2)]:
        settings = {"weights": weights, "solver": native.solver, "middle": native.middle, "steps": steps}
        extras = tuning if weights == "tuned" else {}
        yield Candidate(settings, partial(_as_built, native, extras), options.ipc or 20, steps)


def _as_built(generator: Generator, extras: dict[str, Any]) -> Built:
    return generator, extras


def _tuned(challenge: Challenge) -> Path:
    """Tuned weights, made by the command with its own defaults where they are not there yet."""
    out = Path("runs") / f"distill-{challenge.name}"
    path = out / f"native-{challenge.name}.safetensors"
    if not path.exists():
        name = challenge.name
        subprocess.run(
            [sys.executable, "-m", "submission.training", "distill", "--dataset", name, "--out", str(out)], check=True
        )
    return path


@dataclass(frozen=True)
class Arm:
    """One kind of sweep.

    Attributes:
        axes: what can be varied, with the values tried by default; None for what a generator itself can set.
        epochs, rounds: of the judge, by default.
    """

    candidates: Callable[[Sweep], Iterator[Candidate]]
    axes: Mapping[str, tuple[Any, ...]] | None
    epochs: int
    rounds: int


# a small training; the ages of the networks are the recipe's
DISTILLED = {
    "prototypes": (16,),
    "networks": (1,),
    "views": (0,),
    "groups": (1,),
    "group_weight": (0.5,),
    "steps": (80,),
    "stored_steps": (0,),
    "stored_bytes": (1000,),
    "rate": (0.03,),
    "label_weight": (0.3,),
    "label_age": (4,),
}
GAUSSIAN = {field.name: (field.default,) for field in fields(GaussianSettings)}
ARMS = {
    "gaussian": Arm(
        gaussian, {**GAUSSIAN, "components": (100, 300, 600), "clusters": (1, 8, 32), "covariance": COVARIANCES}, 20, 1
    ),
    "distilled": Arm(distilled, DISTILLED, 120, 1),
    "sampling": Arm(sampling, None, 20, 3),
    "distill": Arm(distill, {}, 15, 3),
}


def parse_values(arm: Arm, asked: list[str]) -> dict[str, tuple[Any, ...]]:
    """The values to try of each axis, from `NAME=VALUE,VALUE`.

    Raises:
        ValueError: a setting that the arm does not vary, or a value that is not of its type.
    """
    axes = dict(arm.axes or {})
    for text in asked:
        name, _, values = text.partition("=")
        if arm.axes is not None and name not in arm.axes:
            raise ValueError(f"{name!r} cannot be varied here; choose among: {', '.join(arm.axes) or 'nothing'}")
        parse = type(arm.axes[name][0]) if arm.axes else str
        axes[name] = tuple(_yes(value) if parse is bool else parse(value) for value in values.split(","))
    return axes


def _yes(value: str) -> bool:
    if value not in ("yes", "no"):
        raise ValueError(f"{value!r} must be yes or no")
    return value == "yes"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("arm", choices=ARMS)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--set", dest="values", action="append", default=[], metavar="NAME=VALUE[,VALUE...]")
    parser.add_argument("--generator", default="native", help="sampling: whose weights; default: %(default)s")
    parser.add_argument("--weights", help="sampling: default, the shipped ones; distill: already tuned ones")
    parser.add_argument("--experts", type=Path, help="distilled: folder of the experts; default: its training's")
    parser.add_argument("--ipc", type=int, help="default: 45; distilled: one of each prototype; distill: 20")
    parser.add_argument("--epochs", type=int, help="default: 20; distilled 120, distill 15")
    parser.add_argument("--rounds", type=int, help="default: 1; sampling and distill 3")
    parser.add_argument(
        "--every", type=int, default=1, metavar="N", help="only every Nth class, with an --out of its own"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/<arm or generator>-sweep-<dataset>.json")
    parser.add_argument("--write", type=Path, metavar="FILE", help="native's weights again, with what served best")
    options = parser.parse_args()
    arm = ARMS[options.arm]
    options.epochs, options.rounds = options.epochs or arm.epochs, options.rounds or arm.rounds
    try:
        axes = parse_values(arm, options.values)
        if options.every != 1 and options.arm in ("sampling", "distill"):
            raise ValueError("--every is for gaussian and distilled, which train: weights have all classes")
        if options.write and (options.arm, options.generator) != ("sampling", "native"):
            raise ValueError("--write makes weights of `native`; use it with `sampling --generator native`")
    except ValueError as error:
        parser.error(str(error))
    combinations = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]
    challenge = get_challenge(options.dataset)
    train, held_out = split_held_out(load_split(challenge, "train", data_folder(options.data)))
    if options.every != 1:
        try:
            challenge, (train, held_out) = every_nth(challenge, options.every, train, held_out)
        except ValueError as error:
            parser.error(str(error))
    sweep = Sweep(options, challenge, train, held_out, combinations)
    subject = options.generator if options.arm == "sampling" else options.arm
    out = options.out or RESULTS / f"{subject}-sweep-{challenge.name}.json"
    rows = run(sweep, arm.candidates(sweep), subject, out)
    print(out)
    if options.write:
        write_with(options.write, options.weights, challenge, max(rows, key=lambda row: row["accuracy"])["settings"])


def run(sweep: Sweep, candidates: Iterator[Candidate], subject: str, out: Path) -> list[dict[str, Any]]:
    """Measure the candidates that `out` lacks; all of its rows.

    Raises SystemExit where `out` is about something else.
    """
    options, challenge = sweep.options, sweep.challenge
    about = {
        "dataset": challenge.name,
        "sweep": subject,
        "weights": options.weights and Path(options.weights).name,
        "epochs": options.epochs,
        "preview": True,
        "held_out_images": len(sweep.held_out),
        "trained_on": len(sweep.train),
    }
    if options.every != 1:
        about["classes"] = challenge.classes
    report = {**about, "machine": asdict(this_machine(options.device)), "rows": []}
    if out.exists():
        report = json.loads(out.read_text(encoding="utf-8"))
    if {name: report.get(name) for name in about} != about:
        raise SystemExit(f"{out} is of another sweep; choose another --out")
    near = cache(lambda mirrored: NearnessTo(sweep.train, sweep.held_out, mirrored))
    for candidate in candidates:
        key = {**candidate.settings, "ipc": candidate.ipc}
        if any(
            {**row["settings"], "ipc": row["ipc"]} == key and len(row["rounds"]) >= options.rounds
            for row in report["rows"]
        ):
            continue
        generator, found = candidate.build()
        made, speed = generated(generator, challenge, candidate.ipc, candidate.steps)
        row = {"settings": candidate.settings, **found, "images_per_s": round(speed, 1)}
        row |= worth(made, sweep.held_out, challenge, options.rounds, options.epochs, options.device)
        save_row(out, report, row | near(candidate.mirrored).of(made))
    rows: list[dict[str, Any]] = report["rows"]
    return rows


def write_with(out: Path, weights: str | None, challenge: Challenge, settings: Mapping[str, Any]) -> None:
    """`weights` of `native` again, with `settings` as what they are sampled with by default."""
    tensors, header = load_weights(Native.find_weights(challenge, weights), "native", challenge)
    numbers = {name: float(settings[name]) for name in ("guidance", "noise_scale") if name in settings}
    named = {name: settings[name] for name in ("solver", "steps") if name in settings}
    save_weights(out, tensors, replace(header, model={**header.model, **named, **numbers}))


if __name__ == "__main__":
    main()
