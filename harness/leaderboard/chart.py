"""Accuracy against images per class of everything on a data set: rows, published results, random real images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from evaluation.base.challenge import get_challenge
from evaluation.curve.curve import load_curve
from evaluation.judge.protocol import FULL_EPOCHS
from harness.leaderboard.rows import Row
from harness.leaderboard.submissions import COPYING
from harness.report.accuracy_charts import draw_published, draw_real_curve
from harness.report.labels import Named, place_names
from harness.report.published import PUBLISHED
from harness.report.sentences import percent
from harness.report.style import DEADLINE, FOURTH, MUTED, OURS, WIDE, chart, ipc_axis, is_narrow, plain_axes, tip

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NAMES = 10  # of rows, the best; on a phone half of them


def leaderboard_chart(dataset: str, rows: Sequence[Row]) -> str:
    """As HTML. Hollow markers are previews, crosses failed an audit."""
    challenge = get_challenge(dataset)
    placed = sorted((row for row in rows if row.ipc), key=lambda row: -row.accuracy)
    curve = load_curve(challenge).at(FULL_EPOCHS)

    def draw(figure: Figure) -> None:
        axes = plain_axes(figure)
        ipc_axis(axes)
        papers = [draw_published(axes, entry) for entry in PUBLISHED[dataset]]
        if curve:
            draw_real_curve(axes, curve)
        ours = [_draw_row(axes, row) for row in placed]
        axes.axhline(100 * challenge.chance, color=MUTED, linewidth=1, linestyle=":")
        axes.set_ylim(0, min(1.06 * max(axes.get_ylim()[1], 5.0), 104.0))
        low, high = axes.get_xlim()
        axes.set_xlim(min(low, 0.9), max(high, 100.0))
        axes.set_xlabel("images per class (IPC)")
        axes.set_ylabel("test accuracy, %")
        most = MOST_NAMES // 2 if is_narrow(figure) else MOST_NAMES
        unnamed = [(each.x, each.y) for each in ours[most:]] + [(point.ipc, 100 * point.mean) for point in curve]
        place_names(axes, [*ours[:most], *papers], unnamed)

    told = "; ".join(f"{row.submission} {percent(row.accuracy)} at IPC {row.ipc:g}" for row in placed[:MOST_NAMES])
    return chart(f"Accuracy on {challenge.title} against images per class: {told}", draw, WIDE, 400, 340)


def colour_of(row: Row) -> str:
    """What a row is drawn in: failed audits, copying, or neither."""
    if any(mark.tone == "bad" for mark in row.marks):
        return DEADLINE
    return FOURTH if row.track.league == COPYING else OURS


def _draw_row(axes: Axes, row: Row) -> Named:
    assert row.ipc is not None, "a row without images per class has no place"
    colour, bad = colour_of(row), any(mark.tone == "bad" for mark in row.marks)
    error = None
    if row.ci95:
        error = [[100 * (row.accuracy - row.ci95[0])], [100 * (row.ci95[1] - row.accuracy)]]
    bars = axes.errorbar(
        row.ipc,
        100 * row.accuracy,
        yerr=error,
        fmt="X" if bad else "D",
        color=colour,
        markersize=7,
        markerfacecolor=colour if row.judging.full else "none",
        elinewidth=1,
        capsize=2,
        zorder=5,
    )
    tip(
        bars.lines[0],
        f"{row.submission}, IPC {row.ipc:.4g}: {percent(row.accuracy)}, {row.judging.words}; {row.track.card}",
    )
    return Named(row.ipc, 100 * row.accuracy, row.submission.partition(" (")[0], colour)
