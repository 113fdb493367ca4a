"""How long a judgement will take, from a few timed steps of the engine that would do it."""

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
import torch

from evaluation.base.challenge import Challenge
from evaluation.base.durations import show_duration
from evaluation.base.images import ImageSet
from evaluation.judge.dsa import KINDS, UNIFORMS, Draw
from evaluation.judge.engine import PREDICT_BATCH, DeviceSet, Engine, put_on_device
from evaluation.judge.parallel import RoundSlots
from evaluation.judge.protocol import FULL_EPOCHS, FULL_ROUNDS, Protocol
from evaluation.judge.rounds import get_engine

PREVIEWS = ((100, 1), (20, 1))
_ENOUGH_S = 2.0
_ENOUGH_STEPS = 20 * len(KINDS)


@dataclass(frozen=True)
class Estimate:
    """What was timed, and the times that follow.

    Attributes:
        images: training images.
        start_s: building the engine and its first step, compilation included.
        step_s: one SGD step on a whole batch; for rounds trained in parallel, its part of their time.
        last_step_s: one SGD step on the short last batch of a pass; 0 where there is none.
        test_s: testing a network on all test images.
    """

    images: int
    start_s: float
    step_s: float
    last_step_s: float
    test_s: float

    @property
    def pass_s(self) -> float:
        """One pass over the training images."""
        return self.images // Protocol().batch_size * self.step_s + self.last_step_s

    def seconds(self, epochs: int = FULL_EPOCHS, rounds: int = FULL_ROUNDS) -> float:
        """Expected seconds of a judgement with this many epochs and rounds."""
        return self.start_s + rounds * (Protocol(epochs=epochs).passes * self.pass_s + self.test_s)

    def of(self, images: int) -> "Estimate":
        """The same for another number of images."""
        batch = Protocol().batch_size
        step_s = self.step_s or self.pass_s * batch / self.images
        return replace(self, images=images, step_s=step_s, last_step_s=step_s * (images % batch) / batch)

    def sentence(self, epochs: int = FULL_EPOCHS, rounds: int = FULL_ROUNDS) -> str:
        """The time in words, with the options of previews that are much cheaper."""
        whole = self.seconds(epochs, rounds)
        fewer = [preview for preview in PREVIEWS if self.seconds(*preview) < whole / 2]
        cheaper = [
            f"{show_duration(self.seconds(epochs, rounds))} (--epochs {epochs} --rounds {rounds})"
            for epochs, rounds in fewer
        ]
        sentence = f"Judging {self.images:,} images ({_extent(epochs, rounds)}) takes about {show_duration(whole)} here"
        return f"{sentence}; a preview {' or '.join(cheaper)}." if cheaper else f"{sentence}."


def _extent(epochs: int, rounds: int) -> str:
    return f"{epochs:,} epochs, {rounds} round{'s' if rounds > 1 else ''}"


def estimate(
    images: int,
    challenge: Challenge,
    *,
    engine: str = "fast",
    rounds: int = FULL_ROUNDS,
    epochs: int = FULL_EPOCHS,
    device: str = "cpu",
    test_images: int = 10_000,
) -> Estimate:
    """Time a few steps of `engine` on noise of the challenge's size.

    Args:
        images: how many are to be judged.
        rounds, epochs: of the judgement, which decide what the engine compiles.

    Raises:
        ValueError: no images, fewer than one epoch, or an unknown engine.
    """
    if images < 1:
        raise ValueError(f"there must be at least 1 image to judge, not {images}")
    protocol, engine_class, torch_device = Protocol(epochs=epochs), get_engine(engine), torch.device(device)
    whole, last = min(images, protocol.batch_size), images % protocol.batch_size
    rng, shape = np.random.default_rng(0), (max(PREDICT_BATCH, whole), 3, challenge.size, challenge.size)
    pixels, labels = rng.integers(256, size=shape, dtype=np.uint8), rng.integers(challenge.classes, size=shape[0])
    noise = put_on_device(ImageSet(pixels, labels), challenge, torch_device)
    expected_steps = rounds * protocol.passes * protocol.steps_per_pass(images)
    began = time.monotonic()
    with closing(RoundSlots(rounds, engine, torch_device)) as slots:
        engines = [
            engine_class(noise, challenge.classes, protocol, expected_steps=expected_steps, workers=slots.workers)
            for _ in range(slots.count)
        ]
        for each in engines:
            each.start(seed=0)
            each.set_rate(protocol.lr)
        _step_seconds(slots, engines, whole, most=1)
        start_s = time.monotonic() - began
        most = min(_ENOUGH_STEPS, max(len(KINDS), expected_steps // slots.count))
        step_s = _step_seconds(slots, engines, whole, most) if images >= protocol.batch_size else 0.0
        last_step_s = _step_seconds(slots, engines, last, most) if last else 0.0
        test_s = _predict_seconds(engines[0], noise) * test_images / len(noise)
    return Estimate(images, start_s, step_s, last_step_s, test_s)


def curve_seconds(expected: Estimate, images: Sequence[int], epochs: int) -> float:
    """Expected seconds of one round for each of `images` (training images), from the timing of the largest."""
    passes = Protocol(epochs=epochs).passes * sum(images) / expected.images
    return passes * expected.pass_s + len(images) * (expected.start_s + expected.test_s)


def _step_seconds(slots: RoundSlots, engines: Sequence[Engine], batch: int, most: int) -> float:
    """Seconds divided by steps made, with an engine running in each slot; each makes `most` if there is time.

    The kinds of augmentation take turns, as many as fit; the first one warms up.
    """
    device = engines[0].train.device
    index_B = torch.arange(batch, device=device)
    uniforms = torch.rand(UNIFORMS, batch, generator=torch.Generator().manual_seed(0)).to(device)
    draws = [Draw(kind, uniforms) for kind in KINDS]

    def warm_up(engine: Engine) -> None:
        for drawn in draws if device.type == "cuda" else draws[:1]:
            engine.step(index_B, drawn)
            _synchronize(device)

    slots.run(warm_up, engines)
    began = time.monotonic()

    def count_steps(engine: Engine) -> int:
        steps = 0
        while steps == 0 or (time.monotonic() - began < _ENOUGH_S and steps < most):
            engine.step(index_B, draws[steps % len(KINDS)])
            _synchronize(device)
            steps += 1
        return steps

    made = sum(slots.run(count_steps, engines))
    return (time.monotonic() - began) / made


def _predict_seconds(engine: Engine, images: DeviceSet) -> float:
    for _ in range(2):  # the first one warms up
        began = time.monotonic()
        engine.predict(images)
        _synchronize(images.device)
    return time.monotonic() - began


def _synchronize(device: torch.device) -> None:
    """Wait for this thread's stream."""
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()
