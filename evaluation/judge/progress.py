"""What happens alongside the training: progress reports for people, checkpoints for interruptions."""

from __future__ import annotations

import time
from collections.abc import Callable, Container
from dataclasses import replace
from threading import Lock

from torch import Tensor

from evaluation.judge.checkpoint import Checkpoint, RoundState
from evaluation.judge.protocol import Progress, Protocol, Round

REPORT_EVERY_S = 1.0
SAVE_EVERY_S = 240.0


class Monitor:
    """Follows one judgement, whose rounds may be trained in several threads.

    Args:
        protocol, rounds: of the judgement.
        steps_per_pass: SGD steps of a pass.
        report: called with the progress, about once a second.
        on_round: called with each round that is done, one at a time.

    Attributes:
        save: writes a checkpoint; None for no checkpoints.
        finished: rounds that are done, by their seed.
        in_progress: what a checkpoint holds of the rounds in progress, by their seed.
    """

    def __init__(
        self,
        protocol: Protocol,
        rounds: int,
        steps_per_pass: int,
        report: Callable[[Progress], None] | None,
        on_round: Callable[[Round], None] | None,
    ) -> None:
        self.save: Callable[[Checkpoint], None] | None = None
        self.finished: dict[int, Round] = {}
        self.in_progress: dict[int, RoundState] = {}
        self._passes, self._rounds, self._steps_per_pass = protocol.passes, rounds, steps_per_pass
        self._steps_per_round = protocol.passes * steps_per_pass
        self._report, self._on_round = report, on_round
        self._lock = Lock()
        self._reported = time.monotonic()
        self._saved: dict[int, float] = {}
        self._steps_done: dict[int, int] = {}
        self._loss_sum: Tensor | float = 0.0
        self._losses = 0

    def resume(self, saved: Checkpoint, seeds: Container[int]) -> None:
        """Go on from what a checkpoint holds of the rounds with these seeds, and report the finished ones."""
        self.finished = {done.seed: done for done in saved.finished if done.seed in seeds}
        self.in_progress = {seed: state for seed, state in saved.in_progress.items() if seed in seeds}
        self._steps_done = {seed: state.steps_done for seed, state in self.in_progress.items()}
        self._steps_done |= dict.fromkeys(self.finished, self._steps_per_round)
        if self._on_round:
            for done in self.finished.values():
                self._on_round(done)

    def after_step(self, seed: int, steps_done: int, loss: Tensor, state: Callable[[], RoundState]) -> None:
        """What `train_round` reports, with the round's seed."""
        now = time.monotonic()
        with self._lock:
            self._steps_done[seed] = steps_done
            if self.save and now - self._saved.setdefault(seed, now) >= SAVE_EVERY_S:
                current = state()  # cloned, because other rounds' checkpoints hold it while this one goes on
                clones = {name: tensor.clone() for name, tensor in current.tensors.items()}
                self.in_progress[seed] = replace(current, tensors=clones)
                self._saved[seed] = now
                self._write()
            if self._report:
                self._loss_sum = self._loss_sum + loss
                self._losses += 1
                if steps_done == self._steps_per_round or now - self._reported >= REPORT_EVERY_S:
                    self._report(self._progress())
                    self._reported = now

    def after_round(self, done: Round) -> None:
        """What `train_round` returns."""
        with self._lock:
            self.finished[done.seed] = done
            self.in_progress.pop(done.seed, None)
            self._write()
            if self._on_round:
                self._on_round(done)

    def _write(self) -> None:
        if self.save:
            self.save(Checkpoint(tuple(self.finished.values()), dict(self.in_progress)))

    def _progress(self) -> Progress:
        steps_so_far = sum(self._steps_done.values())
        loss, self._loss_sum, self._losses = float(self._loss_sum) / self._losses, 0.0, 0
        return Progress(
            rounds_done=sum(steps == self._steps_per_round for steps in self._steps_done.values()),
            rounds=self._rounds,
            passes_done=steps_so_far // self._steps_per_pass,
            passes=self._rounds * self._passes,
            loss=loss,
        )
