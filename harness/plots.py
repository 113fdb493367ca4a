"""The report's charts, as inline SVG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.published import Published
from harness.record import AccuracyPart, LedgerPart, Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID = "#1f2933", "#6b7785", "#e4e8ee"
OURS, REAL, PAPER = "#2459c7", "#1c8a5a", "#c26a12"
PHASES = {
    "load": "#8fa3bf",
    "warmup": "#c9b26b",
    "profile": "#a58bd0",
    "generate": OURS,
    "write": "#4fb0a5",
    "idle": "#d6dbe2",
}


def ledger_chart(ledger: LedgerPart, budget_s: float, used_s: float) -> str:
    """The ledger as one bar against the budget."""
    figure, axes = _figure(9.0, 1.15)
    left = 0.0
    for phase, colour in PHASES.items():
        seconds = getattr(ledger, phase)
        axes.barh(0, seconds, left=left, color=colour, height=0.6)
        if seconds > 0.06 * max(budget_s, used_s):
            white = phase in ("generate",)
            axes.text(
                left + seconds / 2, 0, phase, ha="center", va="center", color="white" if white else INK, fontsize=9
            )
        left += seconds
    axes.axvline(budget_s, color="#b3261e", linewidth=1.5)
    axes.annotate("deadline ", (budget_s, 0.34), ha="right", va="bottom", color="#b3261e", fontsize=8.5)
    axes.set_xlim(0, max(budget_s, used_s) * 1.01)
    axes.set_ylim(-0.36, 0.56)
    axes.set_yticks([])
    axes.set_xlabel("seconds from process start")
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    return _svg(figure)


def images_chart(points: Sequence[tuple[float, int]], budget_s: float) -> str:
    """Whole images on disk over the seconds since the start."""
    figure, axes = _figure(4.4, 2.7)
    seconds = [0.0, *(t for t, _ in points)]
    images = [0, *(n for _, n in points)]
    axes.step(seconds, images, where="post", color=OURS, linewidth=1.8)
    axes.fill_between(seconds, images, step="post", color=OURS, alpha=0.12)
    axes.axvline(budget_s, color="#b3261e", linewidth=1.2)
    axes.set_xlim(0, budget_s * 1.02)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("seconds from process start")
    axes.set_ylabel("images on disk")
    return _svg(figure)


def accuracy_chart(record: Record, published: Sequence[Published], chance: float) -> str:
    """Accuracy against IPC: this run, real images, and what the papers report."""
    figure, axes = _figure(4.9, 3.3)
    axes.set_xscale("log")
    for entry in published:
        error = 100 * entry.spread if entry.spread else None
        marker = "_" if entry.approximate else "o"
        axes.errorbar(entry.ipc, 100 * entry.accuracy, yerr=error, fmt=marker, color=PAPER, markersize=5, capsize=2)
    if record.baseline:
        _point(axes, record.baseline.ipc, record.baseline.accuracy, REAL, "s")
    if record.accuracy and record.ipc:
        _point(axes, record.ipc.mean, record.accuracy, OURS, "D")
    axes.axhline(100 * chance, color=MUTED, linewidth=1, linestyle=":")
    handles = [("this run", OURS, "D"), ("random real images", REAL, "s")]
    if published:
        handles.append(("published", PAPER, "o"))
    for label, colour, marker in handles:
        axes.plot([], [], marker, color=colour, label=label, markersize=6)
    axes.plot([], [], ":", color=MUTED, label="chance")
    axes.legend(frameon=False, fontsize=8.5, loc="best")
    axes.set_ylim(0, max(axes.get_ylim()[1], 5.0))
    axes.set_xlabel("images per class (IPC)")
    axes.set_ylabel("test accuracy, %")
    axes.xaxis.set_major_formatter(_plain)
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 1.0), max(high, 100.0))
    return _svg(figure)


def class_chart(per_class: Sequence[float | None], chance: float) -> str:
    """Per-class accuracy, from the best class to the worst."""
    figure, axes = _figure(9.0, 2.4)
    ordered = sorted((value for value in per_class if value is not None), reverse=True)
    axes.bar(range(len(ordered)), [100 * value for value in ordered], width=0.85, color=OURS)
    axes.axhline(100 * chance, color=MUTED, linewidth=1, linestyle=":")
    axes.set_xlim(-0.7, len(ordered) - 0.3)
    axes.set_ylim(0, 100)
    axes.set_xticks([])
    axes.set_xlabel("classes, best to worst (dotted: chance)")
    axes.set_ylabel("test accuracy, %")
    return _svg(figure)


def _point(axes: Axes, ipc: float, accuracy: AccuracyPart, colour: str, marker: str) -> None:
    error = None
    if accuracy.ci95:
        error = [[100 * (accuracy.mean - accuracy.ci95[0])], [100 * (accuracy.ci95[1] - accuracy.mean)]]
    axes.errorbar(ipc, 100 * accuracy.mean, yerr=error, fmt=marker, color=colour, markersize=7, capsize=3, zorder=5)


def _plain(value: float, _position: float) -> str:
    return f"{value:g}"


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.tick_params(colors=MUTED, labelsize=8.5, length=3)
    axes.grid(True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(MUTED)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_color(MUTED)
        axis.label.set_fontsize(9)
    return figure, axes


def _svg(figure: Figure) -> str:
    import matplotlib

    buffer = io.StringIO()
    # a fixed salt and no date: the same record gives the same report
    with matplotlib.rc_context({"svg.hashsalt": "report"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :]
