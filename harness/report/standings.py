"""This run ranked among the published results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from evaluation.judge.score import Score
from harness.records.record import Record
from harness.report.published import Published
from harness.report.sentences import format_preview, percent

Kind = Literal["ours", "real", "timed", "apart"]


@dataclass(frozen=True)
class Standing:
    """A row of the table.

    Attributes:
        rank: among what was made within a time limit; in brackets where it is a preview's, a dash for all others.
        spread: `± 0.40` (standard deviation) or `[17.40, 18.89]` (95% interval), percent.
        rounds: of the judge; None where a paper does not say.
        how: `full protocol`, a preview's epochs and rounds, or `paper`.
    """

    kind: Kind
    rank: str
    method: str
    paper: str | None
    place: str
    ipc: float
    accuracy: float
    approximate: bool
    spread: str
    rounds: int | None
    how: str


def standings(record: Record, published: Sequence[Published]) -> list[Standing]:
    """From the best to the worst: the published results, the real images beside this run, and this run if judged.

    A run that failed an audit, or that copies training images, has no rank.
    """
    rows = [
        Standing(
            "timed" if entry.timed else "apart",
            "",
            entry.method,
            entry.paper,
            entry.place,
            entry.ipc,
            entry.accuracy,
            entry.approximate,
            f"± {100 * entry.std:.2f}" if entry.std else "",
            None,
            "paper" if entry.paper else "literature",
        )
        for entry in published
    ]
    if record.baseline:
        rows.append(_judged("real", "random real images", record.baseline.ipc, record.baseline.accuracy))
    if record.accuracy and record.ipc:
        rows.append(_judged("ours", f"{record.generator}, this run", record.ipc.mean, record.accuracy))
    rows.sort(key=lambda row: -row.accuracy)
    competing = [row for row in rows if row.kind == "timed" or (row.kind == "ours" and _ranked(record))]
    return [_with_rank(row, competing, record) for row in rows]


def _judged(kind: Kind, name: str, ipc: float, score: Score) -> Standing:
    spread = f"[{100 * score.ci95[0]:.2f}, {100 * score.ci95[1]:.2f}]" if score.ci95 else ""
    how = format_preview(score) or "full protocol"
    return Standing(kind, "", name, None, "", ipc, score.mean, False, spread, len(score.rounds), how)


def is_copying(record: Record) -> bool:
    """Whether the run is in the league of those that copy training images."""
    return any(audit.numbers.get("league") == "copying" for audit in record.audits)


def _ranked(record: Record) -> bool:
    return not is_copying(record) and not any(audit.status == "fail" for audit in record.audits)


def _with_rank(row: Standing, competing: Sequence[Standing], record: Record) -> Standing:
    rank = "–"
    if row in competing:
        rank = str(1 + competing.index(row))
        if row.kind == "ours" and record.accuracy and record.accuracy.preview:
            rank = f"({rank})"
    return replace(row, rank=rank)


def describe_standings(rows: Sequence[Standing]) -> str:
    """The table in a sentence, for those who cannot see a chart of it."""
    return "; ".join(f"{row.method} {percent(row.accuracy)} at IPC {row.ipc:g}" for row in rows)
