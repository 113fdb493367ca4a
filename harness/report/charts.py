"""The charts of a run's report, as inline SVG, and the published results that stand beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.base.files import written_whole
from evaluation.curve.curve import CurvePoint
from evaluation.judge.score import Score
from harness.clock.ledger import Ledger, Phase
from harness.gpu.nvml import THROTTLING
from harness.gpu.telemetry import Sample
from harness.records.anytime import Anytime
from harness.records.record import Record
from harness.report.page import (
    DEADLINE,
    GRID,
    INK,
    MUTED,
    OURS,
    PAPER,
    REAL,
    accuracy_point,
    as_svg,
    new_figure,
    plain_axes,
    plain_number,
    time_axis,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CARD_COLOURS = (OURS, PAPER, REAL, "#8a4fb0")
# one panel each: column, label, scale and upper end of the axis (None: above the highest value)
TELEMETRY = (
    ("clock_mhz", "clock, MHz", 1, None),
    ("power_w", "power, W", 1, None),
    ("temperature_c", "temperature, °C", 1, 100),
    ("utilisation", "utilisation, %", 100, 105),
    ("memory_gb", "memory in use, GB", 1, None),
)
# up to this many classes there is room for their names below the bars
MAX_NAMED = 20
PHASE_COLOURS: dict[Phase, str] = {
    "load": "#8fa3bf",
    "warmup": "#c9b26b",
    "profile": "#a58bd0",
    "generate": OURS,
    "write": "#4fb0a5",
    "idle": "#d6dbe2",
}


@dataclass(frozen=True)
class Published:
    """A published result: fractions; `std` None where the paper gives none."""

    method: str
    place: str
    ipc: float
    accuracy: float
    std: float | None = None
    approximate: bool = False


# what the papers report: accuracy on the real test set after 1,000 epochs (docs/protocol.md)
PUBLISHED: dict[str, tuple[Published, ...]] = {
    "cifar100": (
        Published("SDXL-Turbo", "", 20, 0.0097, 0.0010),
        Published("SDXL-Turbo + PDA", "3rd", 100, 0.0137, 0.0005),
        Published("DiT", "", 6, 0.0563, 0.0047),
        Published("DiT + min-max", "", 6, 0.0959, 0.0067),
        Published("DiT + min-max + DSR", "2nd", 45, 0.1444, 0.0040),
        Published("M-DATM (fixed IPC, no time limit)", "1st, track 1", 10, 0.4061),
        Published("all real training images", "ceiling", 500, 0.56, approximate=True),
    ),
    "tiny-imagenet": (
        Published("DiT", "", 3, 0.0350, 0.0016),
        Published("DiT + min-max", "", 3, 0.0353, 0.0010),
        Published("SDXL-Turbo", "", 10, 0.0437, 0.0012),
        Published("SDXL-Turbo + PDA", "3rd", 50, 0.0478, 0.0018),
        Published("DiT + min-max + DSR", "2nd", 23, 0.0662, 0.0020),
        Published("M-DATM (fixed IPC, no time limit)", "1st, track 1", 10, 0.1831),
        Published("all real training images", "ceiling", 500, 0.37, approximate=True),
    ),
    "digits": (),
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
    """Complete images on disk over time."""
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
    """Accuracy against IPC: this run, random real images (`curve`: of as many epochs) and published results."""
    figure, axes = new_figure(4.9, 3.3)
    axes.set_xscale("log")
    for entry in published:
        error = 100 * entry.std if entry.std else None
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
    """Per-class accuracy, from the best class to the worst, with names where there is room for them."""
    figure, axes = new_figure(9.0, 2.4)
    known = [(value, name) for value, name in zip(accuracy.per_class, names, strict=True) if value is not None]
    ordered = sorted(known, reverse=True)
    axes.bar(range(len(ordered)), [100 * value for value, _ in ordered], width=0.85, color=OURS)
    axes.axhline(100 * chance, color=MUTED, linewidth=1, linestyle=":")
    axes.set_xlim(-0.7, len(ordered) - 0.3)
    axes.set_ylim(0, 100)
    named = len(ordered) <= MAX_NAMED
    axes.set_xticks(range(len(ordered)) if named else [], [name for _, name in ordered] if named else [])
    axes.set_xlabel("classes, best to worst (dotted: chance)")
    axes.set_ylabel("test accuracy, %" + (" (preview)" if accuracy.preview else ""))
    return as_svg(figure)


def class_order_chart(seen: Sequence[int]) -> str:
    """The real class that the images of each label resemble most: a diagonal where the labels are right.

    `seen` has a label for each label, -1 for a class without images.
    """
    figure, axes = new_figure(3.3, 3.3)
    stored = [label for label, real in enumerate(seen) if real >= 0]
    real = [seen[label] for label in stored]
    axes.plot([0, len(seen) - 1], [0, len(seen) - 1], color=GRID, linewidth=3, zorder=1)
    size = 320 / max(len(seen), 12)
    axes.scatter(stored, real, s=size, color=[REAL if a == b else DEADLINE for a, b in zip(stored, real, strict=True)])
    axes.set_aspect("equal")
    axes.set_xlabel("label")
    axes.set_ylabel("most similar real class")
    return as_svg(figure)


def anytime_chart(anytime: Anytime) -> str:
    """Accuracy over time, chance until the first image; the shaded area, divided by the budget, is the mean."""
    return as_svg(_anytime_figure(anytime))


def save_anytime(anytime: Anytime, path: Path) -> None:
    """The same chart as a PNG."""
    with written_whole(path) as part:
        _anytime_figure(anytime).savefig(part, format="png", dpi=160, facecolor="white")


def telemetry_chart(samples: Sequence[Sample], used_s: float, memory_gb: float | None) -> str:
    """What the GPUs did over time, one panel for each value that the driver reports.

    Seconds in which a GPU was throttled by its hardware or by heat are shaded.
    """
    from matplotlib.figure import Figure

    panels = [panel for panel in TELEMETRY if any(getattr(sample, panel[0]) is not None for sample in samples)]
    columns = min(3, max(1, len(panels)))
    rows = -(-max(1, len(panels)) // columns)
    figure = Figure(figsize=(9.0, 2.15 * rows), layout="constrained")
    for place, (name, label, scale, ceiling) in enumerate(panels, start=1):
        axes = figure.add_subplot(rows, columns, place)
        plain_axes(axes)
        for number, card in enumerate(sorted({sample.card for sample in samples})):
            mine = [sample for sample in samples if sample.card == card and getattr(sample, name) is not None]
            values = [scale * getattr(sample, name) for sample in mine]
            colour = CARD_COLOURS[number % len(CARD_COLOURS)]
            axes.plot([sample.seconds for sample in mine], values, color=colour, linewidth=1.4)
        slow = [not THROTTLING.isdisjoint(sample.limits or ()) for sample in samples]
        seconds = [sample.seconds for sample in samples]
        heights = axes.get_xaxis_transform()
        axes.fill_between(seconds, 0, 1, slow, step="mid", transform=heights, color=DEADLINE, alpha=0.13, linewidth=0)
        axes.set_xlim(0, max(used_s, 1e-3) * 1.02)
        axes.set_ylim(0, ceiling or max(1.15 * axes.get_ylim()[1], 1.0))
        if name == "memory_gb" and memory_gb:
            axes.set_ylim(0, 1.05 * memory_gb)
        axes.set_title(label, fontsize=9, color=INK, loc="left")
    for axes in figure.axes[-columns:]:
        axes.set_xlabel("seconds since process start")
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
