"""`leaderboard`: many runs as a public table, a static site."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from evaluation.base.command_line import ExitCode, Options

if TYPE_CHECKING:
    from harness.report.console import Voice

COLUMNS = ("rank", "submission", "in", "accuracy", "95% interval", "IPC", "not ranked")


@dataclass(frozen=True)
class LeaderboardOptions(Options):
    """Options of `leaderboard`."""

    runs: Annotated[list[Path], Argument(help="Folders of runs, or folders that hold them, such as a benchmark's.")]
    out: Annotated[Path, Option(help="Folder of the site; an older leaderboard in it is replaced.")]


def leaderboard(options: LeaderboardOptions, voice: Voice) -> ExitCode:
    """A static site of many runs: verified, put together by submission, ranked within their tracks."""
    from harness.leaderboard.published import published_rows
    from harness.leaderboard.rows import NO_SCORE, lacks_score
    from harness.leaderboard.site import make_site
    from harness.leaderboard.tables import as_json, row_ipc, view_title
    from harness.report.sentences import format_interval, percent

    with voice.working("Verifying runs") as update:
        board = make_site(options.runs, options.out, lambda done, of, name: update(done / of, name))
    if voice.as_json:
        print(json.dumps(as_json(board, published_rows(dict.fromkeys(row.view for row in board.rows))), indent=1))
        return ExitCode.DONE
    for track in dict.fromkeys(row.track for row in board.rows):
        voice.say(f"{track.words}:")
        rows = [row for row in board.rows if row.track == track]
        voice.table(
            COLUMNS,
            [
                (
                    "–" if row.rank is None else str(row.rank),
                    row.submission,
                    view_title(row.view),
                    percent(row.accuracy),
                    format_interval(row.ci95),
                    row_ipc(row),
                    ", ".join(row.unranked),
                )
                for row in rows
            ],
        )
    if lacks_score(board.rows):
        voice.say(NO_SCORE)
    for each in board.not_counted:
        voice.say(f"Not counted: {each.shown}: {each.sentence}")
    voice.say(f"Page: {options.out / 'index.html'}")
    return ExitCode.DONE
