"""How a card judges: the same as the reference, the same each time, with what memory and how fast.

python -m benchmarks.card.judging cuda     # the hash of the weights after some steps, for another process
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path

import torch

from benchmarks.judge import Stepper, engine_stepper, noise, published_stepper, slots_slice
from benchmarks.measuring import Result, Setup
from benchmarks.roofline import TF32, element_bytes, training_cost
from evaluation.base.challenge import Challenge, get_challenge
from evaluation.base.images import ImageSet
from evaluation.judge.draws import draw_pass
from evaluation.judge.fast_engine import FastEngine
from evaluation.judge.norm_relu_pool import COMPILE_FROM_STEPS, choose_norm_relu_pool
from evaluation.judge.parallel import RoundSlots
from evaluation.judge.protocol import FULL_ROUNDS, Protocol
from evaluation.judge.reference_engine import ReferenceEngine

GPU_TESTS = ("tests/evaluation/judge/test_fast_engine.py", "tests/evaluation/judge/triton_kernels")
ROOT = Path(__file__).resolve().parents[2]
AGREES = 1e-4  # relative, of the loss of one step in float32
LARGE_IPC = 500
HASHED_STEPS = 40


def steps_equal_the_reference(setup: Setup) -> Result:
    """Fifty steps in float32, each from the reference's own state: the largest relative difference of the loss.

    Raises RuntimeError where it is more than rounding.
    """
    challenge, protocol = setup.challenges[0], Protocol(batch_size=64)
    train = noise(challenge, 10 if challenge.classes == 10 else 2, setup.device)
    reference = ReferenceEngine(train, challenge.classes, protocol)
    led = FastEngine(train, challenge.classes, protocol, dtype=torch.float32, expected_steps=COMPILE_FROM_STEPS)
    for engine in (reference, led):
        engine.start(seed=1)
        engine.set_rate(protocol.lr)
    worst, made, index = 0.0, 0, 0
    while made < (4 if setup.quick else 50):
        for index_B, drawn in draw_pass(1, index, len(train), protocol.batch_size).to(setup.device).batches():
            expected, stepped = float(reference.step(index_B, drawn)), float(led.step(index_B, drawn))
            worst, made = max(worst, abs(stepped - expected) / expected), made + 1
            led.load(reference.state())
        index += 1
    if not worst < AGREES:
        raise RuntimeError(f"the loss of a step differs from the reference's by {worst:.1e} of it")
    return {
        "steps": made,
        "largest_difference": worst,
        "graphs": _captured(led),
        "triton_kernels": led.kernels is not None,
    }


def _captured(engine: FastEngine) -> int | None:
    """Graphs that it has; None where it makes none."""
    return len(engine.graphed._captured) if engine.graphed else None


def tests(setup: Setup) -> Result:
    """The tests that need a card, and skip themselves without one. Raises RuntimeError where one fails."""
    if find_spec("pytest") is None:
        raise ModuleNotFoundError("the tests need pytest", name="pytest")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *GPU_TESTS, "-k", "gpu or triton"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(f"the tests on the card fail:\n{done.stdout[-4000:]}")
    return {"said": done.stdout.strip().splitlines()[-1]}


def weights_repeat(setup: Setup) -> Result:
    """The weights after some steps in two processes, each of which compiles for itself. Raises RuntimeError."""
    command = [sys.executable, "-m", "benchmarks.card.judging", str(setup.device), *(["--quick"] * setup.quick)]
    hashes = [
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=300).stdout.strip()
        for _ in range(2)
    ]
    if len(set(hashes)) != 1:
        raise RuntimeError(f"two processes end with other weights: {hashes}")
    return {"hash": hashes[0]}


def weights_hash(setup: Setup) -> str:
    """Of the engine's state after HASHED_STEPS on noise."""
    challenge, protocol = setup.challenges[0], Protocol(batch_size=16 if setup.quick else 256)
    train = noise(challenge, 4, setup.device)
    engine = FastEngine(train, challenge.classes, protocol, expected_steps=COMPILE_FROM_STEPS)
    step = engine_stepper(engine, protocol)
    for _ in range(4 if setup.quick else HASHED_STEPS):
        step()
    digest = blake2b(digest_size=16)
    for tensor in engine.state().values():
        digest.update(tensor.cpu().contiguous().numpy().data)
    return digest.hexdigest()


def memory_comes_back(setup: Setup) -> Result:
    """Bytes on the card before and after a second judgement: libraries keep what they took for the first.

    Raises RuntimeError where it left any.
    """
    from evaluation.judge.score import judge

    challenge = setup.challenges[0]
    drawn = noise(challenge, 4, torch.device("cpu"))
    images = ImageSet(drawn.images.numpy(), drawn.labels.numpy())
    left = []
    for _ in range(2):
        scored = judge(images, images, challenge, rounds=1, epochs=1 if setup.quick else 20, device=str(setup.device))
        left.append(_bytes_on(setup.device))
    before, after = left
    if after[0] > before[0]:
        raise RuntimeError(f"a judgement left {after[0] - before[0]:,} bytes on the card")
    return {"before": before, "after": after, "seconds": scored.seconds}


def _bytes_on(device: torch.device) -> tuple[int, int]:
    """In use, and held by PyTorch."""
    if device.type != "cuda":
        return 0, 0
    return torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device)


def speed(setup: Setup) -> Result:
    """Each way to make a step, at IPC 100 of each challenge: milliseconds, and microseconds of the host."""
    return {challenge.name: _speed_of(setup, challenge) for challenge in setup.challenges}


def _speed_of(setup: Setup, challenge: Challenge) -> Result:
    protocol = Protocol()
    train = noise(challenge, 2 if setup.quick else 100, setup.device)
    steps = FULL_ROUNDS * protocol.passes * protocol.steps_per_pass(len(train))

    def fast(graphs: bool = True, compiled: bool = True, triton: bool = True) -> Stepper:
        expected = COMPILE_FROM_STEPS if compiled else 0
        engine = FastEngine(train, challenge.classes, protocol, expected_steps=expected)
        if not graphs:
            engine.graphed = None
        if not triton:
            engine.kernels = None
            engine.norm_relu_pool = choose_norm_relu_pool(setup.device, expected)
        return engine_stepper(engine, protocol)

    on_card = setup.device.type == "cuda"
    ways: dict[str, tuple[Callable[[], Stepper], str]] = {
        "fast": (fast, "bfloat16"),
        "fast, no graphs": (lambda: fast(graphs=False), "bfloat16"),
        "fast, no Triton kernels": (lambda: fast(triton=False), "bfloat16"),
        "fast, not compiled": (lambda: fast(compiled=False), "bfloat16"),
        "reference": (
            lambda: engine_stepper(ReferenceEngine(train, challenge.classes, protocol), protocol),
            "float32",
        ),
        "published": (lambda: published_stepper(train, challenge.classes, protocol), TF32 if on_card else "float32"),
    }
    found: Result = {}
    for name, (build, arithmetic) in ways.items():
        timed = _timed(setup, build())
        cost = training_cost(challenge.size, challenge.classes, element_bytes(arithmetic))
        timed["fraction_of_roofline"] = setup.ceilings.fraction(cost, timed["images_per_s"], arithmetic).roofline
        timed["judgement_minutes"] = timed["ms_per_step"] * steps / 60_000
        found[name] = timed
    return found


def _timed(setup: Setup, step: Stepper) -> dict[str, float]:
    began = time.perf_counter()
    warm_s = 0.0 if setup.quick else 10.0
    while step() and time.perf_counter() - began < warm_s:  # every kind and size is compiled and captured
        pass
    setup.synchronise()
    start_s, images, steps, host_s = time.perf_counter() - began, 0, 0, 0.0
    began = time.perf_counter()
    while time.perf_counter() - began < setup.seconds:
        launched = time.perf_counter()
        for _ in range(1 if setup.quick else 50):
            images, steps = images + step(), steps + 1
        host_s += time.perf_counter() - launched
        setup.synchronise()
    took = time.perf_counter() - began
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
    at_once = 1 if setup.quick else 50
    with closing(RoundSlots(FULL_ROUNDS, "fast", setup.device)) as slots:

        def stepper(_: int) -> Stepper:
            engine = FastEngine(
                train, challenge.classes, protocol, expected_steps=COMPILE_FROM_STEPS, workers=slots.workers
            )
            step = engine_stepper(engine, protocol)
            for _ in range(2 * at_once):
                step()
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
    timed = _timed(setup, engine_stepper(engine, protocol))
    began = time.perf_counter()
    engine.predict(noise(challenge, 1 if setup.quick else 50, setup.device))
    setup.synchronise()
    peak = torch.cuda.max_memory_reserved(setup.device) / 2**30 if setup.device.type == "cuda" else None
    return {"images": len(train), "peak_gib": peak, "test_s": time.perf_counter() - began, **timed}


if __name__ == "__main__":
    print(weights_hash(Setup(torch.device(sys.argv[1]), "--quick" in sys.argv)))
