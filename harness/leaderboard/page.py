"""The leaderboard as one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.leaderboard.board import Board
from harness.leaderboard.chart import leaderboard_chart
from harness.leaderboard.published import PublishedRow
from harness.leaderboard.rows import NO_SCORE, SCORE, Row, lacks_score
from harness.leaderboard.submissions import COPYING, GENERATING, Track
from harness.leaderboard.tables import counted, row_ipc, view_title
from harness.report.page import render_page
from harness.report.published import PUBLISHED
from harness.run.options import CHALLENGES

# by what a reader can sort: the name in the page, and what stands on the button
SORTS = (
    ("rank", "#"),
    ("submission", "submission"),
    ("accuracy", "accuracy"),
    ("ipc", "IPC"),
    ("seconds", "seconds"),
    ("speed", "images/s"),
)


@dataclass(frozen=True)
class Group:
    """The rows of one track in one view; tracks are never mixed."""

    view: str
    title: str
    track: Track
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Papers:
    """Published results of one view, those with a time limit apart from those without."""

    view: str
    title: str
    rows: tuple[PublishedRow, ...]


def render_leaderboard(board: Board, published: Sequence[PublishedRow], made: str) -> str:
    """The page; `made` is the day, as people write it."""
    rows = board.rows
    views = [(view, view_title(view)) for view in dict.fromkeys(row.view for row in rows)]
    drawn = [view for view, _ in views if view != SCORE]
    return render_page(
        "leaderboard.html",
        scripts=("script.js", "leaderboard.js"),
        title="Leaderboard",
        made=made,
        board=board,
        runs=len({run.shown for row in rows for run in row.runs if run.verified}),
        views=views,
        groups=groups(rows),
        papers=papers(published),
        cards=sorted({row.track.card for row in rows}),
        rules=sorted({row.track.rule for row in rows}),
        leagues=[league for league in (GENERATING, COPYING) if any(row.track.league == league for row in rows)],
        has_previews=any(not row.judging.full for row in rows),
        sorts=SORTS,
        charts=[
            (view, view_title(view), leaderboard_chart(view, [row for row in rows if row.view == view]))
            for view in drawn
        ],
        with_papers=[view for view in drawn if PUBLISHED[view]],
        scored=CHALLENGES,
        no_score=NO_SCORE if lacks_score(rows) else "",
        counted=counted,
        row_ipc=row_ipc,
        view_title=view_title,
    )


def groups(rows: Sequence[Row]) -> list[Group]:
    """In the order of the rows."""
    by_track: dict[tuple[str, Track], list[Row]] = {}
    for row in rows:
        by_track.setdefault((row.view, row.track), []).append(row)
    return [Group(view, view_title(view), track, tuple(of)) for (view, track), of in by_track.items()]


def papers(published: Sequence[PublishedRow]) -> list[Papers]:
    """In the order of the rows."""
    titles = {True: "published, within the challenge's time limit", False: "published, no time limit"}
    found: dict[tuple[str, bool], list[PublishedRow]] = {}
    for row in published:
        found.setdefault((row.view, row.timed), []).append(row)
    return [Papers(view, titles[timed], tuple(of)) for (view, timed), of in found.items()]
