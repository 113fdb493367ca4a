"""Rounds: train one from scratch, or several in parallel where that pays, each from where an interruption left it."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock
from typing import NamedTuple
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet, NormalisedSet
from evaluation.base.interruption import held_back
from evaluation.judge.checkpoint import Monitor, RoundState, fingerprint, load_checkpoint, save_checkpoint
from evaluation.judge.draws import draw_pass
from evaluation.judge.engine import DeviceSet, Engine, put_on_device
from evaluation.judge.fast_engine import FastEngine
from evaluation.judge.parallel import RoundSlots
from evaluation.judge.protocol import Progress, Protocol, Round
from evaluation.judge.reference_engine import ReferenceEngine
from evaluation.judge.streams import release, synchronise

ENGINES: dict[str, type[Engine]] = {"fast": FastEngine, "reference": ReferenceEngine}
Images = Callable[[], ImageSet | NormalisedSet]


class RoundJob(NamedTuple):
    """A round to train: its seed, which no other job has, and what gives its images, the same number for all jobs.

    An engine is reused while `images` is the same callable.
    """

    seed: int
    images: Images


class DivergedError(ValueError):
    """A training whose weights are no numbers any more, which earns no score."""

    def __init__(self, passes: int) -> None:
        super().__init__(
            f"the judge's training has come to NaN after pass {passes:,}, so there is no score: the images hold values"
            " that are not finite or far beyond those of pixels; look at the audit `pixels`"
        )


def get_engine(name: str) -> type[Engine]:
    """The engine called `name`. Raises ValueError where there is none."""
    if name not in ENGINES:
        raise ValueError(f"there is no engine {name!r}; choose one of: {', '.join(ENGINES)}")
    return ENGINES[name]


def train_round(
    engine: Engine,
    test: DeviceSet,
    seed: int,
    *,
    resume: RoundState | None = None,
    after_steps: Callable[[int, Tensor, Callable[[], RoundState]], None] | None = None,
    check: Callable[[Callable[[], RoundState]], None] = lambda state: None,
    clock: Callable[[], float] = time.monotonic,
) -> Round:
    """Train one network from scratch and test it once, after the last pass.

    Args:
        engine, test: built on the training images; the images that score it, on the same device.
        seed: determines initial weights, shuffles and augmentation draws.
        resume: where to go on; None to begin.
        after_steps: called after each step, or as many as the engine makes at once, with the steps done, the losses
            of those steps (S,) on the device, and a function that gives the state for a checkpoint.
        check: called as often, before, and before each part of the test, with that function; what it raises ends the
            round.
        clock: seconds, which time the round.

    Raises:
        DivergedError: the weights are no numbers any more.
    """
    protocol, began, before = engine.protocol, clock(), resume.seconds if resume else 0.0
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
        for part in draws.parts(engine.steps_at_once, first_step):
            check(state)
            losses_S = engine.steps(part)
            steps_done += len(part)
            if after_steps:
                after_steps(steps_done, losses_S, state)
        first_step = 0
        if index in (first_pass, protocol.passes - 1):  # not in each, as the host waits for it
            _check_finite(engine, index + 1)
    accuracy, per_class = _accuracies(engine.predict(test, lambda: check(state)), test.labels, engine.classes)
    return Round(seed, accuracy, per_class, before + clock() - began, protocol.passes)


def _check_finite(engine: Engine, passes: int) -> None:
    """Raises DivergedError where a weight is no number any more; the loss need not show it."""
    if not all(tensor.isfinite().all() for tensor in engine.state().values()):
        raise DivergedError(passes)


def train_rounds(
    jobs: Sequence[RoundJob],
    images: int,
    test: ImageSet | NormalisedSet,
    challenge: Challenge,
    protocol: Protocol,
    *,
    engine: str,
    device: str,
    pool: ImageSet | NormalisedSet,
    chance: str,
    judgement_rounds: int | None = None,
    checkpoint: Path | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_round: Callable[[Round], None] | None = None,
) -> tuple[list[Round], tuple[str, ...]]:
    """Train the judge's network from scratch in each round, and score it on `test`.

    Args:
        images: training images of each job.
        engine, device: names of the engine and of a torch device.
        pool, chance: all images that jobs take theirs from, and what decides which; a checkpoint is valid for these.
        judgement_rounds: rounds of the whole judgement where other processes train some of them, so that all use the
            same arithmetic; None for as many as there are jobs.
        checkpoint: a file to save to every few minutes and to resume from if it exists. It keeps the finished rounds
            afterwards; deleting it is the caller's.
        on_progress: called about once a second.
        on_round: called with each round as it is done, in any order; those of the checkpoint first.

    Returns:
        The rounds in the order of their jobs, and how their arithmetic differs from the protocol's, one sentence each.

    Raises:
        ValueError: images or labels do not fit the challenge, the checkpoint is of another judgement, or a training
            came to NaN.
        KeyboardInterrupt: interrupted; the checkpoint then holds all that was done.
    """
    engine_class, torch_device = get_engine(engine), torch.device(device)
    steps_per_pass = protocol.steps_per_pass(images)
    test_set = put_on_device(test, challenge, torch_device)
    expected_steps = (judgement_rounds or len(jobs)) * protocol.passes * steps_per_pass
    with ExitStack() as stack:
        slots = stack.enter_context(closing(RoundSlots(len(jobs), engine, torch_device)))
        stack.callback(release, torch_device)

        building = Lock()
        sets: WeakValueDictionary[Images, DeviceSet] = WeakValueDictionary()  # a card holds each once

        def build(source: Images) -> Engine:
            with building:
                train = sets.get(source)
                if train is None:
                    train = sets[source] = put_on_device(source(), challenge, torch_device)
                    synchronise(torch_device)  # other streams read it
            return engine_class(
                train, challenge.classes, protocol, expected_steps=expected_steps, workers=slots.workers
            )

        engine_of_slot = [lru_cache(maxsize=1)(build) for _ in range(slots.count)]  # reused for the same images
        for each in engine_of_slot:
            stack.callback(each.cache_clear)
        deviations = engine_of_slot[0](jobs[0].images).deviations
        monitor = Monitor(protocol, len(jobs), steps_per_pass, on_progress, on_round)
        if checkpoint is not None:
            identity = fingerprint(pool, test, challenge.name, protocol, engine, chance, device, deviations)
            if saved := load_checkpoint(checkpoint, identity):
                monitor.resume(saved, {job.seed for job in jobs})
            monitor.save = partial(save_checkpoint, checkpoint, identity)
        waiting = iter([job for job in jobs if job.seed not in monitor.finished])

        def check(seed: int, state: Callable[[], RoundState]) -> None:
            if interruption.is_set():
                monitor.keep(seed, state)
                raise KeyboardInterrupt
            slots.check()

        def train_waiting(engine_for: Callable[[Images], Engine]) -> None:
            for job in waiting:  # one iterator for all slots: each takes what is next
                with slots.clock.active():
                    done = train_round(
                        engine_for(job.images),
                        test_set,
                        job.seed,
                        resume=monitor.in_progress.get(job.seed),
                        after_steps=partial(monitor.after_steps, job.seed),
                        check=partial(check, job.seed),
                        clock=slots.clock.now,
                    )
                    monitor.after_round(done)

        with held_back() as interruption:
            try:
                slots.run(train_waiting, engine_of_slot)
            except KeyboardInterrupt:  # of each slot, once it has kept its state
                monitor.write()
    return [monitor.finished[job.seed] for job in jobs], deviations


def _accuracies(predicted_N: Tensor, labels_N: Tensor, classes: int) -> tuple[float, tuple[float | None, ...]]:
    """The fraction predicted correctly, of all and by label."""
    correct = torch.bincount(labels_N[predicted_N == labels_N], minlength=classes).tolist()
    counts = torch.bincount(labels_N, minlength=classes).tolist()
    per_class = tuple(hits / count if count else None for hits, count in zip(correct, counts, strict=True))
    return sum(correct) / sum(counts), per_class
