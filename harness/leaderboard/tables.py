"""The leaderboard for programs and for other pages: JSON, CSV, Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from evaluation.base.challenge import get_challenge
from harness.leaderboard.board import Board
from harness.leaderboard.published import PublishedRow
from harness.leaderboard.rows import SCORE, Row, Run
from harness.report.sentences import format_interval, format_number, percent

SCHEMA = 1
CSV_COLUMNS = (
    *("view", "rank", "submission", "league", "rule", "card", "budget_s", "accuracy", "ci95_low", "ci95_high"),
    *("runs", "ipc", "distinct_ipc", "used_s", "images_per_s", "judged", "marks", "unranked", "reports"),
)


def view_title(view: str) -> str:
    """What people call a view."""
    return "Challenge score" if view == SCORE else get_challenge(view).title


def row_ipc(row: Row) -> str:
    """Images per class; of a score those of its parts."""
    parts = row.parts or (row,)
    return " / ".join("–" if part.ipc is None else format_number(part.ipc) for part in parts)


def as_json(board: Board, published: Sequence[PublishedRow]) -> dict[str, Any]:
    """Everything, as fractions and seconds."""
    return {
        "schema": SCHEMA,
        "rows": [_row_json(row) for row in board.rows],
        "published": [asdict(row) for row in published],
        "not_counted": [asdict(each) for each in board.not_counted],
        "made_with": [asdict(each) for each in board.made_with],
    }


def _row_json(row: Row) -> dict[str, Any]:
    return {
        "view": row.view,
        "rank": row.rank,
        "submission": row.submission,
        "track": asdict(row.track),
        "accuracy": row.accuracy,
        "ci95": row.ci95,
        "values": row.values,
        "parts": {part.view: part.accuracy for part in row.parts},
        "ipc": row.ipc,
        "distinct_ipc": row.distinct_ipc,
        "used_s": row.used_s,
        "images_per_s": row.images_per_s,
        "judging": {**asdict(row.judging), "full": row.judging.full},
        "marks": [asdict(mark) for mark in row.marks],
        "unranked": row.unranked,
        "runs": [_run_json(run) for run in row.runs],
    }


def _run_json(run: Run) -> dict[str, Any]:
    record = run.record
    assert record.accuracy is not None, "what counts was judged"
    return {
        "run": run.shown,
        "report": run.report,
        "dataset": record.dataset,
        "seed": record.seed,
        "judge_seed": record.accuracy.judge_seed,
        "accuracy": record.accuracy.mean,
        "rounds": record.accuracy.rounds,
        "deviations": record.accuracy.deviations,
        "images": record.images,
        "images_hash": record.images_hash,
        "outcome": record.outcome.value,
        "started_at": record.clock.started_at if record.clock else None,
        "commit": record.commit,
        "versions": record.versions,
    }


def as_csv(board: Board) -> str:
    """A line for each row; accuracies are fractions."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in board.rows:
        told = {name: getattr(row, name, None) for name in CSV_COLUMNS} | asdict(row.track)
        low, high = row.ci95 or (None, None)
        told |= {"ci95_low": low, "ci95_high": high, "runs": len(row.runs), "judged": row.judging.words}
        told |= {"marks": "; ".join(mark.word for mark in row.marks), "unranked": "; ".join(row.unranked)}
        writer.writerow(told | {"reports": " ".join(run.report for run in row.runs)})
    return text.getvalue()


def as_markdown(board: Board, published: Sequence[PublishedRow]) -> str:
    """A table for each view and track, the published results behind them."""
    lines = ["# Leaderboard", ""]
    head = "| rank | submission | accuracy | 95% interval | n | IPC | seconds | judged | audits and marks |"
    for view in dict.fromkeys(row.view for row in board.rows):
        of_view = [row for row in board.rows if row.view == view]
        lines += [f"## {view_title(view)}", ""]
        for track in dict.fromkeys(row.track for row in of_view):
            lines += [f"**{_cell(track.words)}**", "", head, f"|{'---|' * 9}"]
            lines += [_markdown_row(row) for row in of_view if row.track == track] + [""]
        if papers := [row for row in published if row.view == view]:
            lines += ["**Published**, as the papers report them; not ranked here", ""]
            lines += ["| method | place | accuracy | std | IPC | time limit |", f"|{'---|' * 6}"]
            lines += [_published_markdown(row) for row in papers] + [""]
    if board.not_counted:
        lines += ["## Not counted", "", *(f"- {_cell(each.shown)}: {each.sentence}" for each in board.not_counted), ""]
    return "\n".join(lines)


def _markdown_row(row: Row) -> str:
    cells = (
        "–" if row.rank is None else str(row.rank),
        row.submission,
        percent(row.accuracy),
        format_interval(row.ci95),
        counted(row),
        row_ipc(row),
        "–" if row.used_s is None else f"{row.used_s:.1f}",
        row.judging.words,
        ", ".join(mark.word for mark in row.marks) or "none",
    )
    return f"| {' | '.join(map(_cell, cells))} |"


def counted(row: Row) -> str:
    """What an accuracy is the mean of: `3 rounds`, `2 runs`."""
    if row.parts:
        return f"{len(row.runs)} runs"
    return f"{len(row.values)} {row.unit}{'s' if len(row.values) != 1 else ''}"


def _published_markdown(row: PublishedRow) -> str:
    about = "about " if row.approximate else ""
    std = "" if row.std is None else f"{100 * row.std:.2f}"
    name = f"[{row.method}]({row.paper})" if row.paper else row.method
    ipc = " / ".join(f"{value:g}" for value in row.ipc)
    return f"| {name} | {row.place} | {about}{percent(row.accuracy)} | {std} | {ipc} | {'yes' if row.timed else 'no'} |"


def _cell(text: str) -> str:
    """Text that breaks no table and is no markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")
