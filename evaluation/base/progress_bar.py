"""Progress for people: a bar where there is a terminal to redraw it, a line now and then where there is none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.console import Console

if TYPE_CHECKING:
    from evaluation.judge.protocol import Progress as JudgeProgress

# how often a line is printed where there is no terminal
LINE_EVERY_S = 15.0

Update = Callable[[float, str], None]


def plain_console(stderr: bool = False) -> Console:
    """A console that prints what it is given: no highlighting, no wrapping of paths."""
    return Console(stderr=stderr, highlight=False, soft_wrap=True)


@contextmanager
def progress(console: Console, title: str, total: float) -> Iterator[Update]:
    """Yields what is to be told how much of `total` is done, and a few words."""
    if not console.is_terminal:
        yield _lines(console, title)
        return
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=28), TextColumn("{task.fields[words]}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=total, words="")
        yield lambda done, words: bar.update(task, completed=min(done, total), words=words)


def _lines(console: Console, title: str) -> Update:
    last = time.monotonic()

    def update(_done: float, words: str) -> None:
        nonlocal last
        if time.monotonic() - last >= LINE_EVERY_S:
            last = time.monotonic()
            console.print(f"{title}: {words}", markup=False)

    return update


@contextmanager
def judging(console: Console, what: str) -> Iterator[Callable[[JudgeProgress], None]]:
    """Progress of judging `what`: yields what is to be told the judge's progress."""
    from evaluation.base.durations import show_duration

    with progress(console, f"Judging {what}", 1.0) as update:

        def tell(now: JudgeProgress) -> None:
            left = f", {show_duration(now.remaining_s)} left" if now.remaining_s is not None else ""
            rounds = f"{now.rounds_done} of {now.rounds} rounds done, " if now.rounds > 1 else ""
            where = f"{rounds}pass {now.passes_done:,} of {now.passes:,}"
            update(now.passes_done / now.passes, f"{where}, loss {now.loss:.3f}{left}")

        yield tell


class _Finding(Protocol):
    """An audit's finding: the judge's own, or as a record holds it."""

    @property
    def name(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def evidence(self) -> str: ...


def show_audits(console: Console, audits: Sequence[_Finding]) -> None:
    """One line for each audit: status, name, evidence."""
    colours = {"pass": "green", "warn": "yellow", "fail": "red"}
    for audit in audits:
        console.print(f"[{colours[audit.status]}]{audit.status}[/]  {audit.name.replace('_', ' '):<12} ", end="")
        console.print(audit.evidence, markup=False)
