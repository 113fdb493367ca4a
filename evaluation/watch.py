"""Watch: what happens beside the training: progress for people, checkpoints for interruptions."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from evaluation.protocol import Progress, Protocol, Round
from evaluation.trainer import RoundState

REPORT_EVERY_S = 1.0
SAVE_EVERY_S = 240.0


@dataclass
class Watch:
    """Stands beside one judgement; `after_step` is what `train_round` tells.

    Attributes:
        protocol, rounds: of the judgement.
        steps_per_pass: SGD steps of a pass.
        report: takes progress; None for nobody.
        save: takes the finished rounds and the state of the one at work; None for no checkpoints.
        finished: rounds done so far.
    """

    protocol: Protocol
    rounds: int
    steps_per_pass: int
    report: Callable[[Progress], None] | None
    save: Callable[[list[Round], RoundState | None], None] | None
    finished: list[Round] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._began = self._reported = self._saved = time.monotonic()
        self._loss_sum: Tensor | float = 0.0
        self._losses = 0
        self._first: tuple[float, int] | None = None

    def after_step(self, steps_done: int, loss: Tensor, state: Callable[[], RoundState]) -> None:
        now = time.monotonic()
        last_of_round = steps_done == self.protocol.passes * self.steps_per_pass
        if self.save and now - self._saved >= SAVE_EVERY_S:
            self.save(self.finished, state())
            self._saved = now
        if self.report:
            self._loss_sum = self._loss_sum + loss
            self._losses += 1
            if last_of_round or now - self._reported >= REPORT_EVERY_S:
                self.report(self._progress(now, steps_done))
                self._reported = now

    def after_round(self, done: Round) -> None:
        self.finished.append(done)
        if self.save:
            self.save(self.finished, None)

    def _progress(self, now: float, steps_done: int) -> Progress:
        """Progress now. The rate is taken from the first report on, so that warming up does not count."""
        steps_of_round = self.protocol.passes * self.steps_per_pass
        steps_so_far = len(self.finished) * steps_of_round + steps_done
        remaining = None
        if self._first is None:
            self._first = (now, steps_so_far)
        else:
            first_at, first_steps = self._first
            rate = (steps_so_far - first_steps) / (now - first_at)
            remaining = (self.rounds * steps_of_round - steps_so_far) / rate
        loss, self._loss_sum, self._losses = float(self._loss_sum) / self._losses, 0.0, 0
        return Progress(
            round=len(self.finished) + 1,
            rounds=self.rounds,
            passes_done=steps_done // self.steps_per_pass,
            passes=self.protocol.passes,
            loss=loss,
            elapsed_s=now - self._began,
            remaining_s=remaining,
        )
