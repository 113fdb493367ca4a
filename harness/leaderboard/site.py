"""The leaderboard on disk: a folder that any web server can serve and any browser can open."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from evaluation.base.files import write_text, written_whole
from harness.leaderboard.board import Board, make_board
from harness.leaderboard.find import find_runs
from harness.leaderboard.page import render_leaderboard
from harness.leaderboard.published import published_rows
from harness.leaderboard.tables import as_csv, as_json, as_markdown

DATA = "leaderboard.json"


def make_site(paths: Sequence[Path], out: Path, on_run: Callable[[int, int, str], None]) -> Board:
    """Make the site of all runs in `paths`; it replaces an older one in `out` when it is whole.

    Raises ValueError where there is no run, where none counts, or `out` holds something else.
    """
    check_out(out)
    found = find_runs(paths)
    with written_whole(out) as part:
        board = make_board(found, part, out, on_run)
        if not board.rows:
            first = board.not_counted[0]
            raise ValueError(
                f"none of the {len(found)} runs counts, so nothing was written; the first, {first.shown}:"
                f" {first.sentence}"
            )
        write_site(board, part)
    return board


def check_out(out: Path) -> None:
    """Raises ValueError where `out` is neither free nor the site of a leaderboard."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise ValueError(f"{out} is no folder; choose another --out")
    if out.exists() and any(out.iterdir()) and not (out / DATA).exists():
        raise ValueError(f"{out} exists and is no leaderboard's; choose another --out")


def write_site(board: Board, site: Path) -> None:
    """The page, and the same as JSON, CSV and Markdown, beside the reports."""
    published = published_rows(dict.fromkeys(row.view for row in board.rows))
    write_text(site / DATA, json.dumps(as_json(board, published), indent=1) + "\n")
    write_text(site / "leaderboard.csv", as_csv(board))
    write_text(site / "leaderboard.md", as_markdown(board, published))
    made = f"{datetime.now(UTC):%d %B %Y}".lstrip("0")
    write_text(site / "index.html", render_leaderboard(board, published, made))
