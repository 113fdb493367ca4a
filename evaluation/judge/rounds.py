"""Rounds: train several, side by side where that pays, each from where an interruption left it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from evaluation.base.challenge import Challenge
from evaluation.judge.checkpoint import load_checkpoint, save_checkpoint
from evaluation.judge.device_set import Labelled, resident
from evaluation.judge.engine import Engine
from evaluation.judge.parallel_rounds import Lanes
from evaluation.judge.progress import Watch
from evaluation.judge.protocol import Progress, Protocol, Round
from evaluation.judge.trainer import RoundState, build_engine, train_round

Images = Callable[[], Labelled]


@dataclass(frozen=True)
class Job:
    """A round to train.

    Attributes:
        seed: of the round; no two jobs have the same.
        images: gives the training images, equally many for all jobs; an engine is kept while it is the same callable.
    """

    seed: int
    images: Images


@dataclass(frozen=True)
class Trained:
    """Rounds in the order of their jobs, and how their arithmetic differs from the protocol's, one sentence each."""

    rounds: tuple[Round, ...]
    deviations: tuple[str, ...]


def train_rounds(
    jobs: Sequence[Job],
    images: int,
    test: Labelled,
    challenge: Challenge,
    protocol: Protocol,
    *,
    engine: str,
    device: str,
    identity: Callable[[Sequence[str]], str],
    checkpoint: Path | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_round: Callable[[Round], None] | None = None,
) -> Trained:
    """Train the judge's network from scratch in each round, and score it on `test`.

    Args:
        images: training images of each job.
        identity: the fingerprint of the judgement, given how the engine's arithmetic deviates.
        checkpoint: a file to save to every few minutes and to go on from if it is there. It keeps the finished
            rounds afterwards; deleting it is the caller's.
        on_progress: told about once a second.
        on_round: told each round as it is done, in no order; those of the checkpoint first.

    Raises:
        ValueError: images or labels do not fit the challenge, or the checkpoint is of another judgement.
    """
    torch_device, steps_per_pass = torch.device(device), protocol.steps_per_pass(images)
    test_set = resident(test, challenge, torch_device)
    expected_steps = len(jobs) * protocol.passes * steps_per_pass
    with ExitStack() as stack:
        lanes = stack.enter_context(closing(Lanes(len(jobs), engine, torch_device)))

        def build(source: Images) -> Engine:
            train = resident(source(), challenge, torch_device)
            return build_engine(
                engine, train, challenge.classes, protocol, expected_steps=expected_steps, workers=lanes.workers
            )

        seats = [stack.enter_context(closing(_Seat(build))) for _ in range(lanes.count)]
        deviations = seats[0].engine(jobs[0].images).deviations
        watch = Watch(protocol, len(jobs), steps_per_pass, on_progress, on_round)
        if checkpoint is not None:
            print_of_job = identity(deviations)
            if saved := load_checkpoint(checkpoint, print_of_job):
                watch.resume(saved.only({job.seed for job in jobs}))
            watch.save = partial(save_checkpoint, checkpoint, print_of_job)
        waiting = iter([job for job in jobs if job.seed not in watch.finished])

        def after_step(seed: int, steps_done: int, loss: Tensor, state: Callable[[], RoundState]) -> None:
            lanes.check()
            watch.after_step(seed, steps_done, loss, state)

        def lane(seat: _Seat) -> None:
            for job in waiting:  # one iterator for all lanes: each takes what is next
                with lanes.clock.at_work():
                    watch.after_round(trained(job, seat.engine(job.images)))

        def trained(job: Job, at_work: Engine) -> Round:
            return train_round(
                at_work,
                test_set,
                challenge.classes,
                protocol,
                job.seed,
                resume=watch.at_work.get(job.seed),
                after_step=partial(after_step, job.seed),
                clock=lanes.clock.now,
            )

        lanes.run(lane, seats)
    return Trained(tuple(watch.finished[job.seed] for job in jobs), deviations)


class _Seat:
    """The engine of one lane, built anew where the next job has other images."""

    def __init__(self, build: Callable[[Images], Engine]) -> None:
        self._build = build
        self._images: Images | None = None
        self._engine: Engine | None = None

    def engine(self, images: Images) -> Engine:
        if self._engine is None or self._images is not images:
            self.close()
            self._engine, self._images = self._build(images), images
        return self._engine

    def close(self) -> None:
        if self._engine:
            self._engine.close()
            self._engine = None
