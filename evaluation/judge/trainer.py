"""One round: the protocol's passes in order, from the first step or from where an interruption left it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from evaluation.judge.cpu_threads import Workers
from evaluation.judge.device_set import Resident
from evaluation.judge.draws import draw_pass
from evaluation.judge.engine import Engine
from evaluation.judge.fast_engine import FastEngine
from evaluation.judge.protocol import Protocol, Round
from evaluation.judge.reference_engine import ReferenceEngine

ENGINES = ("fast", "reference")


@dataclass(frozen=True)
class RoundState:
    """A round between two steps: all that is needed to go on, for its draws follow from its seed.

    Attributes:
        steps_done: steps finished.
        seconds: spent so far.
        tensors: what `Engine.state` gives.
    """

    steps_done: int
    seconds: float
    tensors: dict[str, Tensor]

    def copied(self) -> RoundState:
        """The same, with tensors that nothing changes any more."""
        return replace(self, tensors={name: tensor.clone() for name, tensor in self.tensors.items()})


def build_engine(
    name: str,
    train: Resident,
    classes: int,
    protocol: Protocol,
    *,
    expected_steps: int = 0,
    workers: Workers | None = None,
) -> Engine:
    """The engine called `name`, to train on `train` by `protocol`.

    Args:
        expected_steps: SGD steps of the whole judgement, by which an engine decides what it prepares.
        workers: to share with other engines, on a CPU; None for its own. The reference takes none.

    Raises:
        ValueError: there is no engine of this name.
    """
    check_engine(name)
    if name == "reference":
        return ReferenceEngine(train, classes, protocol)
    return FastEngine(train, classes, protocol, expected_steps=expected_steps, workers=workers)


def check_engine(name: str) -> None:
    """Raises ValueError where no engine is called so."""
    if name not in ENGINES:
        raise ValueError(f"no engine is called {name!r}; choose one of: {', '.join(ENGINES)}")


def train_round(
    engine: Engine,
    test: Resident,
    classes: int,
    protocol: Protocol,
    seed: int,
    *,
    resume: RoundState | None = None,
    after_step: Callable[[int, Tensor, Callable[[], RoundState]], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Round:
    """Train one network from scratch and test it once, after the last pass.

    Args:
        engine: built for `classes` and `protocol` on the training images.
        test: the images that score it, on the engine's device.
        seed: fixes initial weights, shuffles and augmentation draws.
        resume: where to go on; None to begin.
        after_step: told after each step: steps done, the step's loss (0-dim, on the device), and how to get the
            state for a checkpoint.
        clock: seconds, by which the round's are told.
    """
    began, before = clock(), resume.seconds if resume else 0.0
    steps_per_pass = protocol.steps_per_pass(len(engine.train))
    steps_done = resume.steps_done if resume else 0
    first_pass, first_step = divmod(steps_done, steps_per_pass)

    def state() -> RoundState:
        return RoundState(steps_done, before + clock() - began, engine.state())

    engine.start(seed)
    engine.set_rate(protocol.lr_of_pass(first_pass))
    if resume:
        engine.load(resume.tensors)
    for index in range(first_pass, protocol.passes):
        if index == protocol.drop_after + 1 and first_step == 0:
            engine.set_rate(protocol.lr_after_drop)
        draws = draw_pass(seed, index, len(engine.train), protocol.batch_size).to(engine.train.device)
        for index_B, drawn in draws.batches(first_step):
            loss = engine.step(index_B, drawn)
            steps_done += 1
            if after_step:
                after_step(steps_done, loss, state)
        first_step = 0
    accuracy, per_class = _accuracies(engine.predict(test), test.labels, classes)
    return Round(seed, accuracy, per_class, before + clock() - began, protocol.passes)


def _accuracies(predicted_N: Tensor, labels_N: Tensor, classes: int) -> tuple[float, tuple[float | None, ...]]:
    """The fraction predicted right, of all and by label."""
    right = torch.bincount(labels_N[predicted_N == labels_N], minlength=classes).tolist()
    counts = torch.bincount(labels_N, minlength=classes).tolist()
    per_class = tuple(hits / count if count else None for hits, count in zip(right, counts, strict=True))
    return sum(right) / sum(counts), per_class
