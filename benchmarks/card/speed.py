"""How fast a card judges: each way to make a step, rounds on streams, and a large set."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from unittest.mock import patch

import torch

from benchmarks.judge import (
    IMAGES_AT_ONCE,
    Stepper,
    engine_stepper,
    images_at_once,
    noise,
    published_stepper,
    slots_slice,
)
from benchmarks.measuring import Result, Setup
from benchmarks.roofline import TF32, arithmetic_of, training_cost
from evaluation.base.challenge import Challenge, get_challenge
from evaluation.judge import fast_engine
from evaluation.judge.cuda_graphs import GraphedSteps
from evaluation.judge.engine import DeviceSet
from evaluation.judge.fast_engine import FastEngine
from evaluation.judge.norm_relu_pool import COMPILE_FROM_STEPS
from evaluation.judge.parallel import RoundSlots
from evaluation.judge.protocol import FULL_ROUNDS, Protocol
from evaluation.judge.reference_engine import ReferenceEngine
from submission.contract.precision import fastest_precision

LARGE_IPC = 500


def graphed_engine(train: DeviceSet, challenge: Challenge, protocol: Protocol, most: int | None) -> FastEngine:
    """The fast engine, compiled, with so many steps in a graph: None for its own choice, 0 for no graphs."""
    engine = FastEngine(train, challenge.classes, protocol, expected_steps=COMPILE_FROM_STEPS)
    if engine.graphed and most is not None:
        any_kind = engine.kernels is not None
        engine.graphed = GraphedSteps(engine.updated, train.device, most=most, any_kind=any_kind) if most else None
    return engine


def speed(setup: Setup) -> Result:
    """Each way to make a step, at IPC 100 of each challenge: milliseconds, and the host's microseconds of work."""
    return {challenge.name: _speed_of(setup, challenge) for challenge in setup.challenges}


def _speed_of(setup: Setup, challenge: Challenge) -> Result:
    protocol = Protocol()
    train = noise(challenge, 2 if setup.quick else 100, setup.device)
    steps = FULL_ROUNDS * protocol.passes * protocol.steps_per_pass(len(train))

    def fast(most: int | None = None, compiled: bool = True, triton: bool = True) -> Stepper:
        if compiled and triton:
            return engine_stepper(graphed_engine(train, challenge, protocol, most), protocol)
        expected = COMPILE_FROM_STEPS if compiled else 0
        with patch.object(fast_engine, "proven_kernels", lambda *_: None):
            engine = FastEngine(train, challenge.classes, protocol, expected_steps=expected)
        return engine_stepper(engine, protocol)

    on_card = setup.device.type == "cuda"
    fastest = arithmetic_of(fastest_precision(setup.device.type), setup.device)
    ways: dict[str, tuple[Callable[[], Stepper], str]] = {
        "fast": (fast, fastest),
        "fast, a graph a step": (lambda: fast(most=1), fastest),
        "fast, no graphs": (lambda: fast(most=0), fastest),
        "fast, no Triton kernels": (lambda: fast(triton=False), fastest),
        "fast, not compiled": (lambda: fast(compiled=False), fastest),
        "reference": (
            lambda: engine_stepper(ReferenceEngine(train, challenge.classes, protocol), protocol),
            "float32",
        ),
        "published": (lambda: published_stepper(train, challenge.classes, protocol), TF32 if on_card else "float32"),
    }
    found: Result = {}
    for name, (build, arithmetic) in ways.items():
        timed = _timed(setup, build(), protocol.steps_per_pass(len(train)) / len(train))
        cost = training_cost(challenge.size, challenge.classes, arithmetic)
        timed["fraction_of_roofline"] = setup.ceilings.fraction(cost, timed["images_per_s"], arithmetic).roofline
        timed["judgement_minutes"] = timed["ms_per_step"] * steps / 60_000
        found[name] = timed
    return found


def _timed(setup: Setup, step: Stepper, steps_per_image: float) -> dict[str, float]:
    began = time.perf_counter()
    warm_s = 0.0 if setup.quick else 10.0
    while step() and time.perf_counter() - began < warm_s:  # every kind and size is compiled and captured
        pass
    setup.synchronise()
    start_s, images, host_s = time.perf_counter() - began, 0, 0.0
    began = time.perf_counter()
    while time.perf_counter() - began < setup.seconds:
        launched = time.process_time()  # in which waiting for the card does not count
        images += images_at_once(step, 1 if setup.quick else IMAGES_AT_ONCE)
        host_s += time.process_time() - launched
        setup.synchronise()
    took, steps = time.perf_counter() - began, images * steps_per_image
    return {
        "ms_per_step": 1000 * took / steps,
        "host_us_per_step": 1e6 * host_s / steps,
        "images_per_s": images / took,
        "start_s": start_s,
    }


def streams(setup: Setup) -> Result:
    """Rounds in parallel as a judgement has them, each on a stream of its own: images per second of one and of all."""
    challenge, protocol = setup.challenges[0], Protocol()
    train = noise(challenge, 2 if setup.quick else 100, setup.device)
    at_once = 1 if setup.quick else IMAGES_AT_ONCE
    with closing(RoundSlots(FULL_ROUNDS, "fast", setup.device)) as slots:

        def stepper(_: int) -> Stepper:
            engine = FastEngine(
                train, challenge.classes, protocol, expected_steps=COMPILE_FROM_STEPS, workers=slots.workers
            )
            step = engine_stepper(engine, protocol)
            images_at_once(step, 2 * at_once)
            return step

        steppers = slots.run(stepper, range(slots.count))
        return {
            str(count): slots_slice(slots, steppers[:count], at_once, setup.device, setup.seconds)
            for count in sorted({1, slots.count})
        }


def large_set(setup: Setup) -> Result:
    """100,000 images of 64x64 on the card: the most memory, steps, and testing on as many as the test split has."""
    challenge = get_challenge("digits" if setup.quick else "tiny-imagenet")
    train = noise(challenge, 4 if setup.quick else LARGE_IPC, setup.device)
    protocol = Protocol()
    if setup.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(setup.device)
    engine = FastEngine(train, challenge.classes, protocol, expected_steps=COMPILE_FROM_STEPS)
    timed = _timed(setup, engine_stepper(engine, protocol), protocol.steps_per_pass(len(train)) / len(train))
    began = time.perf_counter()
    engine.predict(noise(challenge, 1 if setup.quick else 50, setup.device))
    setup.synchronise()
    peak = torch.cuda.max_memory_reserved(setup.device) / 2**30 if setup.device.type == "cuda" else None
    return {"images": len(train), "peak_gib": peak, "test_s": time.perf_counter() - began, **timed}
