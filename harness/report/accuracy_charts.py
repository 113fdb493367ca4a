"""Charts of accuracy: against images per class, and by class."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from evaluation.curve.curve import CurvePoint
from evaluation.judge.score import Score
from harness.records.record import Record
from harness.report.labels import Named, place_names
from harness.report.published import Published
from harness.report.sentences import format_accuracy, percent
from harness.report.style import (
    MUTED,
    OURS,
    PAPER,
    REAL,
    WIDE,
    accuracy_point,
    chart,
    ipc_axis,
    plain_axes,
    tip,
    tip_at,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def accuracy_chart(
    label: str, record: Record, published: Sequence[Published], curve: Sequence[CurvePoint], chance: float
) -> str:
    """Accuracy against IPC: this run, random real images (`curve`) and published results, each with its name."""

    def draw(figure: Figure) -> None:
        axes = plain_axes(figure)
        ipc_axis(axes)
        names = [draw_published(axes, entry) for entry in published]
        if curve:
            draw_real_curve(axes, curve)
        if record.baseline:
            score, ipc = record.baseline.accuracy, record.baseline.ipc
            accuracy_point(axes, ipc, score, REAL, "s", f"random real images, IPC {ipc:g}: {format_accuracy(score)}")
        if record.accuracy and record.ipc:
            score, ipc = record.accuracy, record.ipc.mean
            accuracy_point(axes, ipc, score, OURS, "D", f"this run, IPC {ipc:g}: {format_accuracy(score)}")
            names.insert(0, Named(ipc, 100 * score.mean, record.generator, OURS))
        axes.axhline(100 * chance, color=MUTED, linewidth=1, linestyle=":")
        axes.set_ylim(0, min(1.06 * max(axes.get_ylim()[1], 5.0), 104.0))
        axes.set_xlabel("images per class (IPC)")
        axes.set_ylabel("test accuracy, %")
        low, high = axes.get_xlim()
        axes.set_xlim(min(low, 0.9), max(high, 100.0))
        place_names(axes, names, _lines(axes, record, curve, chance))

    return chart(label, draw, WIDE, 400, 340)


def _lines(axes: Axes, record: Record, curve: Sequence[CurvePoint], chance: float) -> list[tuple[float, float]]:
    """Points on everything that is drawn but has no name, so that no name covers it."""
    low, high = axes.get_xlim()
    found = [(low * (high / low) ** (step / 60), 100 * chance) for step in range(61)]
    for one, other in pairwise(curve):
        for part in (step / 8 for step in range(9)):
            ipc = one.ipc * (other.ipc / one.ipc) ** part
            found.append((ipc, 100 * (one.mean + part * (other.mean - one.mean))))
    if record.baseline:
        found.append((record.baseline.ipc, 100 * record.baseline.accuracy.mean))
    return found


def draw_published(axes: Axes, entry: Published) -> Named:
    """Filled where it was made within the time limit."""
    colour = PAPER if entry.timed else MUTED
    bars = axes.errorbar(
        entry.ipc,
        100 * entry.accuracy,
        yerr=100 * entry.std if entry.std else None,
        fmt="_" if entry.approximate else "o",
        color=colour,
        markersize=12 if entry.approximate else 7,
        markerfacecolor=colour if entry.timed else "none",
        capsize=2,
    )
    spread = f" ± {100 * entry.std:.2f}" if entry.std else ""
    about = "about " if entry.approximate else ""
    tip(bars.lines[0], f"{entry.method}, IPC {entry.ipc:g}: {about}{percent(entry.accuracy)}{spread}")
    return Named(entry.ipc, 100 * entry.accuracy, entry.method.partition(" (")[0], colour)


def draw_real_curve(axes: Axes, curve: Sequence[CurvePoint]) -> None:
    """A line through the points and a band of their intervals."""
    axes.plot([point.ipc for point in curve], [100 * point.mean for point in curve], "-o", color=REAL, markersize=3.5)
    banded = [(point.ipc, *point.ci95) for point in curve if point.ci95]
    if banded:
        ipc, lows, highs = zip(*banded, strict=True)
        low, high = ([100 * end for end in ends] for ends in (lows, highs))
        axes.fill_between(ipc, low, high, color=REAL, alpha=0.15, linewidth=0)
    for point in curve:
        told = f"random real images, IPC {point.ipc}, {point.epochs:,} epochs: {percent(point.mean)}"
        tip_at(axes, point.ipc, 100 * point.mean, f"{told}, n = {len(point.rounds)}")


def class_chart(label: str, accuracy: Score, names: Sequence[str], chance: float) -> str:
    """Per-class accuracy, from the best class to the worst."""
    known = [(value, name) for value, name in zip(accuracy.per_class, names, strict=True) if value is not None]

    def draw(figure: Figure) -> None:
        axes = plain_axes(figure)
        axes.set_xlim(-0.7, len(known) - 0.3)
        for place, (value, name) in enumerate(sorted(known, reverse=True)):
            (bar,) = axes.bar(place, 100 * value, width=0.82, color=OURS)
            tip(bar, f"{name}: {percent(value)}")
        axes.axhline(100 * chance, color=MUTED, linewidth=1, linestyle=":")
        axes.set_ylim(0, 100)
        axes.set_xticks([])
        axes.set_xlabel("classes, best to worst (dotted: chance)")
        axes.set_ylabel("test accuracy, %")

    return chart(label, draw, WIDE, 200, 190)
