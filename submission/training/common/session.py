"""A session of training: steps until done, out of time or told to stop, with a log, previews and checkpoints."""

import json
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Any, Protocol

import torch
from torch import Tensor

from evaluation.base.progress_bar import progress_bar

LOG_EVERY_S = 5.0
SAVE_EVERY_S = 120.0
PREVIEW_EVERY_S = 300.0
JUDGE_EVERY_S = 900.0


class Training(Protocol):
    """What a session advances."""

    @property
    def images(self) -> int:
        """Images seen so far."""

    @property
    def total(self) -> int:
        """Images to see in all."""

    @property
    def batch(self) -> int:
        """Images a step."""

    @property
    def rate(self) -> float:
        """The learning rate of the last step."""

    def step(self) -> Tensor:
        """Train on one batch; returns its mean loss, a scalar on the device."""

    def measured(self) -> dict[str, float]:
        """What else was measured since it was last asked, by name."""

    def state(self) -> dict[str, Any]:
        """All that the next step depends on, for a checkpoint."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""


@dataclass
class Session:
    """What a training does between its steps.

    Attributes:
        log: JSON lines, one every few seconds: images, loss, what else was measured, rate, images_per_s, tflops.
        save: writes a checkpoint; called every two minutes and at the end.
        preview: writes a grid of samples; called every five minutes and at the end.
        seconds: after which the session ends; None for no limit.
        judge: a quick accuracy on held-out training images, for the log every fifteen minutes; None for none.
        flop: floating-point operations of training on one image; the log then has the arithmetic done in a second.
    """

    training: Training
    log: Path
    save: Callable[[], None]
    preview: Callable[[], None]
    seconds: float | None = None
    judge: Callable[[], float] | None = None
    flop: float = 0.0
    _losses: list[Tensor] = field(default_factory=list)

    def run(self) -> bool:
        """Train until done or out of time; False if a signal stopped it. Raises ValueError for a loss not finite."""
        training, total = self.training, self.training.total
        self._forget_after(training.images)
        began = logged = saved = previewed = judged = time.monotonic()
        with progress_bar("Training") as update, _asked_to_stop() as stop:
            while training.images < total and not stop.is_set():
                now = time.monotonic()
                if self.seconds is not None and now - began >= self.seconds:
                    break
                self._losses.append(training.step())
                if now - logged >= LOG_EVERY_S:
                    loss = self._write_log(now - logged)
                    update(training.images / total, f"{training.images:,} images, loss {loss:.4f}")
                    logged = now
                if now - previewed >= PREVIEW_EVERY_S:
                    self.preview()
                    previewed = now
                if self.judge and now - judged >= JUDGE_EVERY_S:
                    self._append({"images": training.images, "held_out_accuracy": self.judge()})
                    judged = now
                if now - saved >= SAVE_EVERY_S:
                    self.save()
                    saved = now
            self.save()
            if stop.is_set():
                return False
            self.preview()
            return True

    def _write_log(self, seconds: float) -> float:
        loss = float(torch.stack(self._losses).mean())
        if not math.isfinite(loss):
            raise ValueError(
                f"the training has diverged near image {self.training.images:,}; begin anew at a lower --rate"
            )
        images_per_s = len(self._losses) * self.training.batch / seconds
        line = {
            "images": self.training.images,
            "loss": loss,
            **self.training.measured(),
            "rate": self.training.rate,
            "images_per_s": images_per_s,
        }
        if self.flop:
            line["tflops"] = images_per_s * self.flop / 1e12
        self._append(line)
        self._losses.clear()
        return loss

    def _append(self, line: dict[str, float]) -> None:
        with self.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _forget_after(self, images: int) -> None:
        """Drop what an interrupted session logged after its last checkpoint, and a line that it did not finish."""
        if self.log.exists():
            lines = self.log.read_text(encoding="utf-8").split("\n")[:-1]
            kept = [line for line in lines if json.loads(line)["images"] <= images]
            self.log.write_text("".join(line + "\n" for line in kept), encoding="utf-8")


@contextmanager
def _asked_to_stop() -> Iterator[Event]:
    """An event that the first Ctrl-C or SIGTERM sets; a second one acts as ever."""
    event = Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, frame: FrameType | None) -> None:
        event.set()
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, stop)
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
