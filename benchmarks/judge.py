"""How fast the judge trains: the fast engine, the reference and the published evaluator's, on one machine.

    python -m benchmarks.judge                        # IPC 10 and 100 of CIFAR-100's size
    python -m benchmarks.judge --ipc 10 --seconds 20  # a short one

`in parallel` is the fast engine as a judgement of several rounds uses it (`parallel`). The
implementations take turns on one machine in the same run, a slice of a second or more each, so that other load affects
all alike. A slice is whole steps on batches of the protocol's size; building and warming up are
timed apart. Images are noise: the work does not depend on what they show.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median, quantiles

import torch

from benchmarks.published import PublishedTrainer
from benchmarks.roofline import (
    TF32,
    Ceilings,
    Fraction,
    arithmetic_of,
    arithmetics,
    measure_ceilings,
    training_cost,
)
from evaluation.base.challenge import Challenge, get_challenge
from evaluation.base.machine import this_machine
from evaluation.judge.draws import draw_pass
from evaluation.judge.engine import DeviceSet, Engine
from evaluation.judge.fast_engine import FastEngine
from evaluation.judge.parallel import RoundSlots
from evaluation.judge.protocol import FULL_ROUNDS, Protocol
from evaluation.judge.rounds import get_engine
from evaluation.judge.streams import synchronise

IMPLEMENTATIONS = ("fast", "in parallel", "reference", "published")
SLICE_S = 1.0
PARALLEL_SLICE_S = 5.0  # at its end the slots wait for each other, so it is longer
IMAGES_AT_ONCE = 50 * Protocol().batch_size
# On CUDA the first steps of each kind and size compile and capture.
WARM_UP_S = {"cpu": 0.1, "cuda": 15.0}
Stepper = Callable[[], int]


@dataclass(frozen=True)
class Speed:
    """How fast one implementation is.

    Attributes:
        images_per_s: median over slices, with its quartiles.
        passes_per_s: passes over the training images; one more than epochs make a round.
        judgement_hours: for the three rounds of the full protocol at this speed.
        slices: how many were timed.
        start_s: building and warming up.
        convolutions: what they multiply in, by its name in `benchmarks.roofline`.
        fraction_of_ceiling: this speed as a fraction of the machine's measured ceilings.
    """

    images_per_s: float
    images_per_s_quartiles: tuple[float, float]
    passes_per_s: float
    judgement_hours: float
    slices: int
    start_s: float
    convolutions: str
    fraction_of_ceiling: Fraction


@dataclass(frozen=True)
class Comparison:
    """All implementations at one IPC; the ratios are medians over slices that followed each other."""

    ipc: int
    images: int
    implementations: dict[str, Speed]
    fast_over_reference: float
    fast_over_published: float
    parallel_over_fast: float


def noise(challenge: Challenge, ipc: int, device: torch.device) -> DeviceSet:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(challenge.classes).repeat_interleave(ipc)
    images = torch.randint(
        256, (len(labels), 3, challenge.size, challenge.size), dtype=torch.uint8, generator=generator
    )
    mean, std = (torch.tensor(v, device=device).view(3, 1, 1) for v in (challenge.mean, challenge.std))
    return DeviceSet(images.to(device), labels.to(device), mean, std)


def engine_stepper(engine: Engine, protocol: Protocol) -> Stepper:
    """As many steps at each call as the engine makes at once, pass after pass, drawing as a round does; returns the
    images taken."""

    def batches() -> Iterator[int]:
        index = 0
        while True:
            draws = draw_pass(0, index, len(engine.train), protocol.batch_size).to(engine.train.device)
            for part in draws.parts(engine.steps_at_once):
                engine.steps(part)
                yield len(part.order)
            index += 1

    engine.start(seed=0)
    engine.set_rate(protocol.lr)
    return batches().__next__


def published_stepper(train: DeviceSet, classes: int, protocol: Protocol) -> Stepper:
    trainer = PublishedTrainer(train, classes, protocol)

    def batches() -> Iterator[int]:
        while True:
            for index_B in torch.randperm(len(train)).split(protocol.batch_size):
                trainer.step(index_B.tolist())
                yield len(index_B)

    return batches().__next__


def timed_slice(step: Stepper, device: torch.device, at_least_s: float) -> float:
    """Images per second over whole steps."""
    synchronise(device)
    began, images = time.perf_counter(), 0
    while time.perf_counter() - began < at_least_s:
        # Launches run ahead of a GPU; without waiting now and then a slice would end long after its time.
        images += images_at_once(step, images_between_looks(device))
        synchronise(device)
    return images / (time.perf_counter() - began)


def slots_slice(
    slots: RoundSlots, steps: Sequence[Stepper], at_once: int, device: torch.device, at_least_s: float
) -> float:
    """Images per second of all slots together, over whole steps of each, at least so many images between looks at the
    clock."""
    began = time.perf_counter()

    def images(step: Stepper) -> int:
        made = 0
        while time.perf_counter() - began < at_least_s:
            made += images_at_once(step, at_once)
            if device.type == "cuda":
                torch.cuda.current_stream(device).synchronize()
        return made

    return sum(slots.run(images, steps)) / (time.perf_counter() - began)


def images_at_once(step: Stepper, least: int) -> int:
    """Whole steps on at least so many images; returns how many."""
    made = 0
    while made < least:
        made += step()
    return made


def images_between_looks(device: torch.device) -> int:
    return IMAGES_AT_ONCE if device.type == "cuda" else 1


def measure(challenge: Challenge, ipc: int, device: torch.device, seconds: float, ceilings: Ceilings) -> Comparison:
    """All implementations at one IPC, in turns for `seconds` together."""
    train, protocol = noise(challenge, ipc, device), Protocol()
    steps = 3 * protocol.passes * protocol.steps_per_pass(len(train))
    slice_of: dict[str, Callable[[], float]] = {}
    start_s, multiplies = {}, {}
    slots = RoundSlots(FULL_ROUNDS, "fast", device)
    for name in IMPLEMENTATIONS:
        began = time.perf_counter()
        if name == "published":
            stepper = published_stepper(train, challenge.classes, protocol)
            multiplies[name] = TF32 if device.type == "cuda" else "float32"  # PyTorch's defaults
        else:
            engine_name = "reference" if name == "reference" else "fast"
            engines = [
                get_engine(engine_name)(train, challenge.classes, protocol, expected_steps=steps, workers=slots.workers)
                for _ in range(slots.count if name == "in parallel" else 1)
            ]
            steppers = [engine_stepper(engine, protocol) for engine in engines]
            stepper = steppers[0]
            engine = engines[0]
            multiplies[name] = arithmetic_of(engine.dtype, device) if isinstance(engine, FastEngine) else "float32"
        timed_slice(stepper, device, WARM_UP_S[device.type])
        slice_of[name] = partial(timed_slice, stepper, device, SLICE_S)
        if name == "in parallel" and slots.count > 1:
            slots.run(lambda step: timed_slice(step, device, WARM_UP_S[device.type]), steppers)
            slice_of[name] = partial(
                slots_slice, slots, steppers, images_between_looks(device), device, PARALLEL_SLICE_S
            )
        start_s[name] = time.perf_counter() - began
    slices: dict[str, list[float]] = {name: [] for name in IMPLEMENTATIONS}
    began = time.perf_counter()
    while time.perf_counter() - began < seconds or len(slices[IMPLEMENTATIONS[0]]) < 3:
        for name in IMPLEMENTATIONS:
            slices[name].append(slice_of[name]())
    speeds = {}
    for name, images_per_s in slices.items():
        low, middle, high = quantiles(images_per_s, n=4)
        speeds[name] = Speed(
            images_per_s=middle,
            images_per_s_quartiles=(low, high),
            passes_per_s=middle / len(train),
            judgement_hours=3 * protocol.passes * len(train) / middle / 3600,
            slices=len(images_per_s),
            start_s=start_s[name],
            convolutions=multiplies[name],
            fraction_of_ceiling=ceilings.fraction(
                training_cost(challenge.size, challenge.classes, multiplies[name]), middle, multiplies[name]
            ),
        )
    over = {
        name: median(a / b for a, b in zip(slices["fast"], slices[name], strict=True))
        for name in IMPLEMENTATIONS
        if name != "fast"
    }
    slots.close()
    return Comparison(ipc, len(train), speeds, over["reference"], over["published"], 1 / over["in parallel"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="cifar100", help="gives image size and classes (default: %(default)s)")
    parser.add_argument("--ipc", type=int, nargs="+", default=[10, 100], help="images per class (default: 10 100)")
    parser.add_argument("--seconds", type=float, default=120.0, help="of measuring at each IPC (default: %(default)s)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/judge-<machine>.json")
    options = parser.parse_args()

    device, challenge = torch.device(options.device), get_challenge(options.dataset)
    machine = this_machine(options.device)
    ceilings = measure_ceilings(device, arithmetics(device))
    found: list[Comparison] = []
    out = options.out or Path(__file__).parent / "results" / f"judge-{machine.label}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    for ipc in options.ipc:
        found.append(measure(challenge, ipc, device, options.seconds, ceilings))
        report = {
            "machine": asdict(machine),
            "dataset": challenge.name,
            "ceilings": asdict(ceilings),
            "results": [asdict(each) for each in found],
        }
        out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        show(found[-1])
    print(f"written to {out}")


def show(found: Comparison) -> None:
    print(f"IPC {found.ipc}:")
    for name, speed in found.implementations.items():
        print(
            f"  {name:12} {speed.images_per_s:9.0f} images/s, a judgement in {speed.judgement_hours:.2f} h, "
            f"{speed.fraction_of_ceiling.roofline:.0%} of the roofline"
        )
    print(
        f"  fast is {found.fast_over_reference:.1f}x the reference, {found.fast_over_published:.1f}x the published one;"
        f" in parallel it is {found.parallel_over_fast:.2f}x fast"
    )


if __name__ == "__main__":
    main()
