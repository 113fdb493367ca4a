"""What the judge shows people: how far the training of its network is, and what the audits found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console

from evaluation.audits.audit import Audit
from evaluation.base.progress_bar import progress_bar
from evaluation.judge.protocol import Progress


@contextmanager
def judging(console: Console, what: str) -> Iterator[Callable[[Progress], None]]:
    """Show how far judging `what` is: yields what takes the judge's progress."""
    with progress_bar(f"Judging {what}", console) as update:

        def show(now: Progress) -> None:
            rounds = f"{now.rounds_done} of {now.rounds} rounds done, " if now.rounds > 1 else ""
            passes = f"pass {now.passes_done:,} of {now.passes:,}"
            update(now.passes_done / now.passes, f"{rounds}{passes}, loss {now.loss:.3f}")

        yield show


def show_audits(console: Console, audits: Sequence[Audit]) -> None:
    """One line for each audit: status, name, evidence."""
    colours = {"pass": "green", "warn": "yellow", "fail": "red"}
    for audit in audits:
        console.print(f"[{colours[audit.status]}]{audit.status}[/]  {audit.name.replace('_', ' '):<12} ", end="")
        console.print(audit.evidence, markup=False)
