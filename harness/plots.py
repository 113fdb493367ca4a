"""The report's charts, as inline SVG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.curve import CurvePoint
from evaluation.files import written_whole
from harness.anytime import Anytime
from harness.nvml import THROTTLING
from harness.published import Published
from harness.record import AccuracyPart, LedgerPart, Record
from harness.telemetry import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID = "#1f2933", "#6b7785", "#e4e8ee"
OURS, REAL, PAPER = "#2459c7", "#1c8a5a", "#c26a12"
DEADLINE = "#b3261e"
CARDS = (OURS, PAPER, REAL, "#8a4fb0")
# what is shown of a card: its column, label, scale and where the axis ends (None: above the highest value)
TELEMETRY = (
    ("clock_mhz", "clock, MHz", 1, None),
    ("power_w", "power, W", 1, None),
    ("temperature_c", "temperature, °C", 1, 100),
    ("utilisation", "busy, %", 100, 105),
    ("memory_gb", "memory in use, GB", 1, None),
)
# classes that still have room for their names below a bar
MOST_NAMED = 20
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
        if seconds > 0.08 * used_s:
            colour = "white" if phase == "generate" else INK
            axes.text(left + seconds / 2, 0, phase, ha="center", va="center", color=colour, fontsize=9)
        left += seconds
    _time_axis(axes, budget_s, used_s)
    axes.set_ylim(-0.36, 0.56)
    axes.set_yticks([])
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    return _svg(figure)


def images_chart(points: Sequence[tuple[float, int]], budget_s: float, used_s: float) -> str:
    """Whole images on disk over the seconds since the start."""
    figure, axes = _figure(4.9, 3.3)
    seconds = [0.0, *(t for t, _ in points)]
    images = [0, *(n for _, n in points)]
    axes.step(seconds, images, where="post", color=OURS, linewidth=1.8)
    axes.fill_between(seconds, images, step="post", color=OURS, alpha=0.12)
    axes.set_ylim(0, 1.15 * images[-1])
    _time_axis(axes, budget_s, used_s)
    axes.set_ylabel("images on disk")
    return _svg(figure)


def accuracy_chart(record: Record, published: Sequence[Published], curve: Sequence[CurvePoint], chance: float) -> str:
    """Accuracy against IPC: this run, real images (`curve`: of as many epochs), and what the papers report."""
    figure, axes = _figure(4.9, 3.3)
    axes.set_xscale("log")
    for entry in published:
        error = 100 * entry.spread if entry.spread else None
        marker = "_" if entry.approximate else "o"
        axes.errorbar(entry.ipc, 100 * entry.accuracy, yerr=error, fmt=marker, color=PAPER, markersize=5, capsize=2)
    if curve:
        ipc, means = [point.ipc for point in curve], [100 * point.mean for point in curve]
        axes.plot(ipc, means, "-o", color=REAL, linewidth=1.5, markersize=3.5)
        banded = [point for point in curve if point.ci95]
        lows, highs = ([100 * point.ci95[side] for point in banded if point.ci95] for side in (0, 1))
        axes.fill_between([point.ipc for point in banded], lows, highs, color=REAL, alpha=0.15, linewidth=0)
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
    axes.set_ylim(0, min(max(axes.get_ylim()[1], 5.0), 100.0))
    axes.set_xlabel("images per class (IPC)")
    axes.set_ylabel("test accuracy, %")
    axes.xaxis.set_major_formatter(_plain)
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 1.0), max(high, 100.0))
    return _svg(figure)


def class_chart(per_class: Sequence[float | None], names: Sequence[str], chance: float) -> str:
    """Per-class accuracy, from the best class to the worst; with names where there is room for them."""
    figure, axes = _figure(9.0, 2.4)
    known = [(value, name) for value, name in zip(per_class, names, strict=True) if value is not None]
    ordered = sorted(known, reverse=True)
    axes.bar(range(len(ordered)), [100 * value for value, _ in ordered], width=0.85, color=OURS)
    axes.axhline(100 * chance, color=MUTED, linewidth=1, linestyle=":")
    axes.set_xlim(-0.7, len(ordered) - 0.3)
    axes.set_ylim(0, 100)
    named = len(ordered) <= MOST_NAMED
    axes.set_xticks(range(len(ordered)) if named else [], [name for _, name in ordered] if named else [])
    axes.set_xlabel("classes, best to worst (dotted: chance)")
    axes.set_ylabel("test accuracy, %")
    return _svg(figure)


def anytime_chart(anytime: Anytime) -> str:
    """Accuracy over the seconds used, chance until the first image; the shaded area over the budget is the mean."""
    return _svg(_anytime_figure(anytime))


def save_anytime(anytime: Anytime, path: Path) -> None:
    """The same chart as a PNG."""
    with written_whole(path) as part:
        _anytime_figure(anytime).savefig(part, format="png", dpi=160, facecolor="white")


def telemetry_chart(rows: Sequence[Row], used_s: float, memory_gb: float | None) -> str:
    """What the cards did over the seconds since the start, one panel for each figure that the driver told.

    Seconds in which the card was throttled by its hardware or its heat are shaded.
    """
    from matplotlib.figure import Figure

    told = [panel for panel in TELEMETRY if any(getattr(row, panel[0]) is not None for row in rows)]
    columns = min(3, max(1, len(told)))
    lines = -(-max(1, len(told)) // columns)
    figure = Figure(figsize=(9.0, 2.15 * lines), layout="constrained")
    for place, (name, label, scale, ceiling) in enumerate(told, start=1):
        axes = figure.add_subplot(lines, columns, place)
        _plain_axes(axes)
        for number, card in enumerate(sorted({row.card for row in rows})):
            mine = [row for row in rows if row.card == card and getattr(row, name) is not None]
            values = [scale * getattr(row, name) for row in mine]
            axes.plot([row.seconds for row in mine], values, color=CARDS[number % len(CARDS)], linewidth=1.4)
        slow = [bool(set((row.limits or "").split("+")) & THROTTLING) for row in rows]
        seconds = [row.seconds for row in rows]
        heights = axes.get_xaxis_transform()
        axes.fill_between(seconds, 0, 1, slow, step="mid", transform=heights, color=DEADLINE, alpha=0.13, linewidth=0)
        axes.set_xlim(0, max(used_s, 1e-3) * 1.02)
        axes.set_ylim(0, ceiling or max(1.15 * axes.get_ylim()[1], 1.0))
        if name == "memory_gb" and memory_gb:
            axes.set_ylim(0, 1.05 * memory_gb)
        axes.set_title(label, fontsize=9, color=INK, loc="left")
    for axes in figure.axes[-columns:]:
        axes.set_xlabel("seconds from process start")
    return _svg(figure)


def _anytime_figure(anytime: Anytime) -> Figure:
    figure, axes = _figure(9.0, 3.3)
    chance, first_s = anytime.chance, anytime.first_image_s
    knots = [(0.0, chance), (first_s, chance)]
    knots += [(point.seconds, point.worth(chance)) for point in anytime.points if point.seconds > first_s]
    knots.append((max(anytime.budget_s, knots[-1][0]), knots[-1][1]))
    seconds, percents = [s for s, _ in knots], [100 * accuracy for _, accuracy in knots]
    axes.plot(seconds, percents, color=OURS, linewidth=1.8)
    axes.fill_between(seconds, percents, color=OURS, alpha=0.12, linewidth=0)
    for point in anytime.points:
        if point.accuracy:
            _point(axes, point.seconds, point.accuracy, OURS, "o")
    axes.axhline(100 * chance, color=MUTED, linewidth=1, linestyle=":")
    axes.set_ylim(0, min(1.25 * max(percents), 112.0))
    _time_axis(axes, anytime.budget_s, anytime.used_s)
    axes.set_ylabel("test accuracy, %" + (" (preview)" if anytime.preview else ""))
    return figure


def _time_axis(axes: Axes, budget_s: float, used_s: float) -> None:
    """Seconds from process start, as far as there is something to see, and where the deadline is."""
    axes.set_xlabel("seconds from process start")
    near = used_s > 0.5 * budget_s
    axes.set_xlim(0, (max(budget_s, used_s) if near else used_s) * 1.02)
    if near:
        axes.axvline(budget_s, color=DEADLINE, linewidth=1.5)
    words = "deadline " if near else f"deadline at {budget_s:g} s \N{RIGHTWARDS ARROW}"
    place = (budget_s, 0.98) if near else (axes.get_xlim()[1], 0.98)
    axes.annotate(words, place, xycoords=("data", "axes fraction"), ha="right", va="top", color=DEADLINE, fontsize=8.5)


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
    _plain_axes(axes)
    return figure, axes


def _plain_axes(axes: Axes) -> None:
    axes.tick_params(colors=MUTED, labelsize=8.5, length=3)
    axes.grid(True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(MUTED)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_color(MUTED)
        axis.label.set_fontsize(9)


def _svg(figure: Figure) -> str:
    import matplotlib

    buffer = io.StringIO()
    # a fixed salt and no date: the same record gives the same report
    with matplotlib.rc_context({"svg.hashsalt": "report"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :]
