"""How a card judges: the same as the reference, the same each time, and what it leaves in memory.

python -m benchmarks.card.judging cuda     # the hash of the weights after some steps, for another process
"""

from __future__ import annotations

import subprocess
import sys
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path

import torch

from benchmarks.card.speed import graphed_engine
from benchmarks.judge import engine_stepper, noise
from benchmarks.measuring import Result, Setup
from evaluation.base.images import ImageSet
from evaluation.judge.draws import draw_pass
from evaluation.judge.fast_engine import FastEngine
from evaluation.judge.norm_relu_pool import COMPILE_FROM_STEPS
from evaluation.judge.protocol import Protocol
from evaluation.judge.reference_engine import ReferenceEngine

GPU_TESTS = ("tests/evaluation/judge/test_fast_engine.py", "tests/evaluation/judge/triton_kernels")
ROOT = Path(__file__).resolve().parents[2]
AGREES = 1e-4  # relative, of the loss of one step in float32
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


def graphs_equal_steps(setup: Setup) -> Result:
    """Passes as graphs of many steps, of one step, and without graphs: the largest difference of a weight, of 0.

    Raises RuntimeError where it is more than rounding.
    """
    challenge, protocol = setup.challenges[0], Protocol(batch_size=16 if setup.quick else 256)
    train = noise(challenge, 4 if setup.quick else 10, setup.device)
    engines = {
        way: graphed_engine(train, challenge, protocol, most)
        for way, most in (("pass", None), ("step", 1), ("none", 0))
    }
    for engine in engines.values():
        engine.start(seed=1)
        engine.set_rate(protocol.lr)
        for index in range(1 if setup.quick else 3):
            engine.steps(draw_pass(1, index, len(train), protocol.batch_size).to(setup.device))
    plain = engines["none"].state()
    off = {
        way: max(float((tensor - plain[name]).abs().max()) for name, tensor in engine.state().items())
        for way, engine in engines.items()
        if way != "none"
    }
    if not max(off.values()) < AGREES:
        raise RuntimeError(f"graphs end with other weights than their steps: {off}")
    return {"steps_at_once": engines["pass"].steps_at_once, "largest_difference": off}


if __name__ == "__main__":
    print(weights_hash(Setup(torch.device(sys.argv[1]), "--quick" in sys.argv)))
