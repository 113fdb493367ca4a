"""What the judge's commands show: progress of the training, what the audits found, the result as JSON or a sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from evaluation.audits.audit import CANNOT_TELL, Audit, distinct_ipc
from evaluation.base.challenge import Challenge
from evaluation.base.progress_bar import Update, progress_bar, starting
from evaluation.formats.decode import OnRead
from evaluation.judge.protocol import Progress

if TYPE_CHECKING:
    from evaluation.curve.real_equivalent import RealEquivalent
    from evaluation.judge.score import Score
    from evaluation.submitted.folder import FolderContents


@contextmanager
def judging(console: Console, what: str) -> Iterator[Callable[[Progress], None]]:
    """Show how far judging `what` is: yields what takes the judge's progress."""
    with progress_bar(f"Judging {what}", console) as update:

        def show(now: Progress) -> None:
            rounds = f"{now.rounds_done} of {now.rounds} rounds done, " if now.rounds > 1 else ""
            passes = f"pass {now.passes_done:,} of {now.passes:,}"
            update(now.passes_done / now.passes, f"{rounds}{passes}, loss {now.loss:.3f}")

        yield show


@contextmanager
def reading(console: Console, what: str = "the images") -> Iterator[OnRead]:
    """Show how far reading `what` is: yields what takes files read and all files."""
    with progress_bar(f"Reading {what}", console) as update:
        yield lambda done, files: update(done / max(1, files), f"{done:,} of {files:,} files")


def loading(console: Console, challenge: Challenge, data: Path | None) -> AbstractContextManager[object]:
    """While both real splits are loaded: something that turns, unless they must be downloaded, which shows itself."""
    from evaluation.data.datasets import is_at_hand

    at_hand = all(is_at_hand(challenge, split, data) for split in ("train", "test"))
    return starting(console) if at_hand else nullcontext()


def auditing(console: Console) -> AbstractContextManager[Update]:
    """Show how far the audits are: yields what takes the fraction done and the name of one that begins."""
    return progress_bar("Auditing", console)


def show_audits(console: Console, audits: Sequence[Audit]) -> None:
    """One line for each audit: its verdict, name and evidence."""
    colours = {"pass": "green", "warn": "yellow", "fail": "bold red", CANNOT_TELL: "dim"}
    width = max((len(audit.verdict) for audit in audits), default=0)
    for audit in audits:
        told = f"{audit.verdict:<{width}}"
        console.print(told, end="", style=colours[audit.verdict])
        console.print(f"  {audit.name.replace('_', ' '):<12} ", end="")
        console.print(audit.evidence)


def any_failed(audits: Sequence[Audit]) -> bool:
    return any(audit.status == "fail" for audit in audits)


def result(
    challenge: Challenge,
    contents: FolderContents,
    audits: Sequence[Audit],
    score: Score | None = None,
    worth: RealEquivalent | None = None,
) -> dict[str, Any]:
    """What `--json` prints, with the inner forms of a record; without a score, what there is before one."""
    import numpy as np

    per_class = np.bincount(contents.images.labels, minlength=challenge.classes)
    found: dict[str, Any] = {
        "dataset": challenge.name,
        "images": len(contents.images),
        "ipc": {
            "mean": len(contents.images) / challenge.classes,
            "min": int(per_class.min()),
            "max": int(per_class.max()),
            "distinct": distinct_ipc(audits),
        },
        "accuracy": asdict(score) if score else None,
        "audits": [asdict(audit) for audit in audits],
    }
    if score is not None:
        found |= {"engine": score.engine, "epochs": score.epochs, "rounds": len(score.rounds)}
        found["real_equivalent_ipc"] = worth.ipc if worth else None
        found["real_equivalent"] = asdict(worth) if worth else None
    return found


def sentence(score: Score) -> str:
    """`Accuracy 33.10% [32.40, 33.80], std 0.28, n = 3`, and what differs from the protocol."""
    interval = " (one round, no interval)"
    if score.ci95 is not None and score.std is not None:
        low, high = score.ci95
        interval = f" [{100 * low:.2f}, {100 * high:.2f}], std {100 * score.std:.2f}, n = {len(score.rounds)}"
    return " ".join([f"Accuracy {100 * score.mean:.2f}%{interval}.", *score.deviations])
