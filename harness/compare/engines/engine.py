"""What a benchmark asks of an engine: make these runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class RunTask:
    """One `python -m harness run`.

    Attributes:
        options: of `run`, with absolute paths, without `--out` and `--resume`.
        judging: those of them that say how it is judged, and on what device and data.
        rounds: of its judgement.
        folder: of the run; absolute.
        goes_on: whether the run in `folder` has its images and is only to be judged.
        log: file for what it prints.
    """

    name: str
    dataset: str
    options: tuple[str, ...]
    judging: tuple[str, ...]
    rounds: int
    folder: Path
    goes_on: bool
    log: Path

    @property
    def arguments(self) -> tuple[str, ...]:
        """Of `run`, on this machine."""
        return (*self.options, "--out", str(self.folder), *(["--resume"] if self.goes_on else []))


@dataclass(frozen=True)
class Done:
    """How a run ended: its exit code, negative where a signal killed it, and the last line that it printed."""

    task: RunTask
    exit_code: int
    said: str


class Engine(Protocol):
    """Makes runs; a card never has two at a time."""

    def run(self, tasks: Sequence[RunTask], on_done: Callable[[Done], None]) -> None:
        """Do all tasks, in any order; `on_done` is called in this thread. An interruption ends what is running."""


def last_line(text: str) -> str:
    """The last line with anything in it."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
