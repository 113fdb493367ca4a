"""The report's charts, as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.base.files import written_whole
from evaluation.curve.curve import CurvePoint
from evaluation.judge.score import Score
from harness.clock.ledger import Ledger, Phase
from harness.gpu.nvml import THROTTLING
from harness.gpu.telemetry import Sample
from harness.planning.profile import Point, Sustained
from harness.records.anytime import Anytime
from harness.records.record import Record
from harness.report.published import Published
from harness.report.style import (
    DEADLINE,
    GRID,
    INK,
    MUTED,
    OURS,
    PAPER,
    REAL,
    accuracy_point,
    as_svg,
    colours,
    new_figure,
    plain_axes,
    plain_number,
    time_axis,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
PHASE_COLOURS: dict[Phase, str] = {
    "load": "#8fa3bf",
    "warmup": "#c9b26b",
    "profile": "#a58bd0",
    "generate": OURS,
    "write": "#4fb0a5",
    "idle": "#d6dbe2",
}


def ledger_chart(ledger: Ledger, budget_s: float, used_s: float) -> str:
    """The ledger as one bar against the budget."""
    figure, axes = new_figure(9.0, 1.15)
    left = 0.0
    for phase, seconds in ledger.by_phase.items():
        colour = PHASE_COLOURS[phase]
        axes.barh(0, seconds, left=left, color=colour, height=0.6)
        if seconds > 0.08 * used_s:
            colour = "white" if phase == "generate" else INK
            axes.text(left + seconds / 2, 0, phase, ha="center", va="center", color=colour, fontsize=9)
        left += seconds
    time_axis(axes, budget_s, used_s)
    axes.set_ylim(-0.36, 0.56)
    axes.set_yticks([])
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    return as_svg(figure)


def images_chart(points: Sequence[tuple[float, int]], budget_s: float, used_s: float) -> str:
    """Whole images on disk over the seconds since the start."""
    figure, axes = new_figure(4.9, 3.3)
    seconds = [0.0, *(t for t, _ in points)]
    images = [0, *(n for _, n in points)]
    axes.step(seconds, images, where="post", color=OURS, linewidth=1.8)
    axes.fill_between(seconds, images, step="post", color=OURS, alpha=0.12)
    axes.set_ylim(0, 1.15 * images[-1])
    time_axis(axes, budget_s, used_s)
    axes.set_ylabel("images on disk")
    return as_svg(figure)


def accuracy_chart(record: Record, published: Sequence[Published], curve: Sequence[CurvePoint], chance: float) -> str:
    """Accuracy against IPC: this run, real images (`curve`: of as many epochs), and what the papers report."""
    figure, axes = new_figure(4.9, 3.3)
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
        accuracy_point(axes, record.baseline.ipc, record.baseline.accuracy, REAL, "s")
    if record.accuracy and record.ipc:
        accuracy_point(axes, record.ipc.mean, record.accuracy, OURS, "D")
    axes.axhline(100 * chance, color=MUTED, linewidth=1, linestyle=":")
    handles = [
        ("this run" + (" (preview)" if record.accuracy and record.accuracy.preview else ""), OURS, "D"),
        ("random real images", REAL, "s"),
    ]
    if published:
        handles.append(("published", PAPER, "o"))
    for label, colour, marker in handles:
        axes.plot([], [], marker, color=colour, label=label, markersize=6)
    axes.plot([], [], ":", color=MUTED, label="chance")
    axes.legend(frameon=False, fontsize=8.5, loc="best")
    axes.set_ylim(0, min(max(axes.get_ylim()[1], 5.0), 100.0))
    axes.set_xlabel("images per class (IPC)")
    axes.set_ylabel("test accuracy, %")
    axes.xaxis.set_major_formatter(plain_number)
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 1.0), max(high, 100.0))
    return as_svg(figure)


def class_chart(accuracy: Score, names: Sequence[str], chance: float) -> str:
    """Per-class accuracy, from the best class to the worst; with names where there is room for them."""
    figure, axes = new_figure(9.0, 2.4)
    known = [(value, name) for value, name in zip(accuracy.per_class, names, strict=True) if value is not None]
    ordered = sorted(known, reverse=True)
    axes.bar(range(len(ordered)), [100 * value for value, _ in ordered], width=0.85, color=OURS)
    axes.axhline(100 * chance, color=MUTED, linewidth=1, linestyle=":")
    axes.set_xlim(-0.7, len(ordered) - 0.3)
    axes.set_ylim(0, 100)
    named = len(ordered) <= MOST_NAMED
    axes.set_xticks(range(len(ordered)) if named else [], [name for _, name in ordered] if named else [])
    axes.set_xlabel("classes, best to worst (dotted: chance)")
    axes.set_ylabel("test accuracy, %" + (" (preview)" if accuracy.preview else ""))
    return as_svg(figure)


def class_order_chart(seen: Sequence[int]) -> str:
    """Which real class each stored one is most like: a diagonal where the labels say what the images show.

    Args:
        seen: a label for each label, -1 for a class without images.
    """
    figure, axes = new_figure(3.3, 3.3)
    stored = [label for label, real in enumerate(seen) if real >= 0]
    real = [seen[label] for label in stored]
    axes.plot([0, len(seen) - 1], [0, len(seen) - 1], color=GRID, linewidth=3, zorder=1)
    size = 320 / max(len(seen), 12)
    axes.scatter(stored, real, s=size, color=[REAL if a == b else DEADLINE for a, b in zip(stored, real, strict=True)])
    axes.set_aspect("equal")
    axes.set_xlabel("stored under label")
    axes.set_ylabel("most like the real class")
    return as_svg(figure)


def anytime_chart(anytime: Anytime) -> str:
    """Accuracy over the seconds used, chance until the first image; the shaded area over the budget is the mean."""
    return as_svg(_anytime_figure(anytime))


def save_anytime(anytime: Anytime, path: Path) -> None:
    """The same chart as a PNG."""
    with written_whole(path) as part:
        _anytime_figure(anytime).savefig(part, format="png", dpi=160, facecolor="white")


def telemetry_chart(rows: Sequence[Sample], used_s: float, memory_gb: float | None) -> str:
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
        plain_axes(axes)
        for number, card in enumerate(sorted({row.card for row in rows})):
            mine = [row for row in rows if row.card == card and getattr(row, name) is not None]
            values = [scale * getattr(row, name) for row in mine]
            axes.plot([row.seconds for row in mine], values, color=CARDS[number % len(CARDS)], linewidth=1.4)
        slow = [not THROTTLING.isdisjoint(row.limits or ()) for row in rows]
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
    return as_svg(figure)


def _anytime_figure(anytime: Anytime) -> Figure:
    figure, axes = new_figure(9.0, 3.3)
    chance, first_s = anytime.chance, anytime.first_image_s
    knots = [(0.0, chance), (first_s, chance)]
    knots += [(point.seconds, point.worth(chance)) for point in anytime.points if point.seconds > first_s]
    knots.append((max(anytime.budget_s, knots[-1][0]), knots[-1][1]))
    seconds, percents = [s for s, _ in knots], [100 * accuracy for _, accuracy in knots]
    axes.plot(seconds, percents, color=OURS, linewidth=1.8)
    axes.fill_between(seconds, percents, color=OURS, alpha=0.12, linewidth=0)
    for point in anytime.points:
        if point.accuracy:
            accuracy_point(axes, point.seconds, point.accuracy, OURS, "o")
    axes.axhline(100 * chance, color=MUTED, linewidth=1, linestyle=":")
    axes.set_ylim(0, min(1.25 * max(percents), 112.0))
    time_axis(axes, anytime.budget_s, anytime.used_s)
    axes.set_ylabel("test accuracy, %" + (" (preview)" if anytime.preview else ""))
    return figure


def rate_chart(points: Sequence[Point], sustained: Sustained | None) -> str:
    """Images per second against batch size, a line for each step count; the bars are quartiles."""
    figure, axes = new_figure(4.9, 3.3)
    axes.set_xscale("log", base=2)
    for colour, steps in zip(colours(), sorted({point.steps for point in points}, reverse=True), strict=False):
        line = sorted((p for p in points if p.steps == steps), key=lambda point: point.batch_size)
        rates = [point.images_per_s for point in line]
        below = [max(0.0, r - p.batch_size / (p.high_s + p.decode_s)) for r, p in zip(rates, line, strict=True)]
        above = [max(0.0, p.batch_size / (p.low_s + p.decode_s) - r) for r, p in zip(rates, line, strict=True)]
        sizes = [point.batch_size for point in line]
        axes.errorbar(
            sizes, rates, [below, above], fmt="-o", color=colour, markersize=4, capsize=2, label=f"{steps} steps"
        )
    if sustained:
        rate = sustained.batch_size / sustained.seconds
        axes.plot(sustained.batch_size, rate, "D", color=REAL, markersize=7, label="in a row and written")
    axes.xaxis.set_major_formatter(plain_number)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("batch size")
    axes.set_ylabel("images per second")
    axes.legend(frameon=False, fontsize=8.5)
    return as_svg(figure)


def steps_chart(points: Sequence[Point]) -> str:
    """Seconds per batch against step count, for the batch size with most step counts."""
    figure, axes = new_figure(4.9, 3.3)
    counts = {size: sum(p.batch_size == size for p in points) for size in {p.batch_size for p in points}}
    size = max(counts, key=lambda size: (counts[size], size))
    line = sorted((p for p in points if p.batch_size == size), key=lambda point: point.steps)
    seconds = [point.seconds for point in line]
    below = [max(0.0, p.seconds - p.low_s) for p in line]
    above = [max(0.0, p.high_s - p.seconds) for p in line]
    axes.errorbar([p.steps for p in line], seconds, [below, above], fmt="-o", color=OURS, markersize=4, capsize=2)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"steps, at batch {size}")
    axes.set_ylabel("seconds per batch")
    return as_svg(figure)
