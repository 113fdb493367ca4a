"""The charts of a run's time: images, accuracy and GPUs over it; and of the order of its classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.base.files import written_whole
from harness.gpu.nvml import THROTTLING
from harness.gpu.telemetry import Sample
from harness.records.anytime import Anytime
from harness.report.sentences import format_accuracy
from harness.report.style import (
    DEADLINE,
    FOURTH,
    GRID,
    HALF,
    INK,
    MUTED,
    OURS,
    PAPER,
    REAL,
    TEXT,
    WIDE,
    accuracy_point,
    chart,
    is_narrow,
    new_figure,
    plain_axes,
    time_axis,
    tip_at,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CARD_COLOURS = (OURS, PAPER, REAL, FOURTH)
# one panel each: column, label, scale and upper end of the axis (None: above the highest value)
TELEMETRY = (
    ("clock_mhz", "clock, MHz", 1, None),
    ("power_w", "power, W", 1, None),
    ("temperature_c", "temperature, °C", 1, 100),
    ("utilisation", "utilisation, %", 100, 105),
    ("memory_gb", "memory in use, GB", 1, None),
)
MOST_TIPS = 40  # values to point at on a line


def images_chart(points: Sequence[tuple[float, int]], budget_s: float, used_s: float) -> str:
    """Complete images on disk over time."""

    def draw(figure: Figure) -> None:
        axes = plain_axes(figure)
        seconds = [0.0, *(t for t, _ in points)]
        images = [0, *(n for _, n in points)]
        axes.step(seconds, images, where="post", color=OURS, linewidth=1.8)
        axes.fill_between(seconds, images, step="post", color=OURS, alpha=0.12)
        axes.set_ylim(0, 1.18 * images[-1])
        time_axis(axes, budget_s, used_s)
        axes.set_ylabel("images on disk")
        for t, n in thinned(points):
            tip_at(axes, t, n, f"{n:,} images after {t:.1f} s")

    return chart(f"Images on disk over time: {points[-1][1]:,} after {points[-1][0]:.0f} s", draw, WIDE, 240)


def thinned(values: Sequence[Any]) -> Sequence[Any]:
    """At most about `MOST_TIPS` of the values, the last one among them."""
    return values[:: -max(1, len(values) // MOST_TIPS)][::-1]


def class_order_chart(seen: Sequence[int], names: Sequence[str]) -> str:
    """The real class that the images of each label resemble most: a diagonal where the labels are right.

    `seen` has a label for each label, -1 for a class without images.
    """
    stored = [label for label, real in enumerate(seen) if real >= 0]
    wrong = [label for label in stored if seen[label] != label]

    def draw(figure: Figure) -> None:
        axes = plain_axes(figure)
        axes.plot([0, len(seen) - 1], [0, len(seen) - 1], color=GRID, linewidth=3, zorder=1)
        for label in stored:
            colour = DEADLINE if seen[label] != label else REAL
            size = 60 / max(len(seen), 12) + 2
            axes.plot(label, seen[label], "o" if colour == REAL else "D", color=colour, markersize=size)
            tip_at(axes, label, seen[label], f"stored as {names[label]}: most like {names[seen[label]]}")
        axes.set_aspect("equal")
        axes.set_xlabel("label")
        axes.set_ylabel("most similar real class")

    told = f"{len(stored) - len(wrong)} of {len(stored)} classes resemble the real class of their own label most"
    return chart(told, draw, HALF, HALF, 330)


def anytime_chart(anytime: Anytime) -> str:
    """Accuracy over time, chance until the first image; the shaded area, divided by the budget, is the mean."""
    last = anytime.points[-1]
    label = f"Accuracy over time: {100 * last.worth(anytime.chance):.2f}% after {last.seconds:.0f} s"
    return chart(label, lambda figure: _draw_anytime(figure, anytime), WIDE, 300)


def save_anytime(anytime: Anytime, path: Path) -> None:
    """The same chart as a PNG."""
    figure = new_figure(WIDE, 300, lambda figure: _draw_anytime(figure, anytime))
    with written_whole(path) as part:
        figure.savefig(part, format="png", dpi=120, facecolor="white")


def telemetry_chart(samples: Sequence[Sample], used_s: float, memory_gb: float | None) -> str:
    """What the GPUs did over time, one panel for each value that the driver reports.

    Seconds in which a GPU was throttled by its hardware or by heat are shaded.
    """
    panels = [panel for panel in TELEMETRY if any(getattr(sample, panel[0]) is not None for sample in samples)]
    if not panels:
        return ""

    def draw(figure: Figure) -> None:
        columns = 1 if is_narrow(figure) else min(3, len(panels))
        rows = -(-len(panels) // columns)
        for place, (name, label, scale, ceiling) in enumerate(panels, start=1):
            axes = plain_axes(figure, rows, columns, place)
            for number, card in enumerate(sorted({sample.card for sample in samples})):
                mine = [sample for sample in samples if sample.card == card and getattr(sample, name) is not None]
                values = [scale * getattr(sample, name) for sample in mine]
                colour = CARD_COLOURS[number % len(CARD_COLOURS)]
                axes.plot([sample.seconds for sample in mine], values, color=colour, linewidth=1.4)
                for sample, value in thinned(list(zip(mine, values, strict=True))):
                    tip_at(axes, sample.seconds, value, f"GPU {card}, {sample.seconds:.0f} s: {label} {value:.4g}")
            slow = [not THROTTLING.isdisjoint(sample.limits or ()) for sample in samples]
            seconds = [sample.seconds for sample in samples]
            heights = axes.get_xaxis_transform()
            axes.fill_between(
                seconds, 0, 1, slow, step="mid", transform=heights, color=DEADLINE, alpha=0.13, linewidth=0
            )
            axes.set_xlim(0, max(used_s, 1e-3) * 1.02)
            axes.set_ylim(0, ceiling or max(1.15 * axes.get_ylim()[1], 1.0))
            if name == "memory_gb" and memory_gb:
                axes.set_ylim(0, 1.05 * memory_gb)
            axes.set_title(label, fontsize=TEXT, color=INK, loc="left")
        for axes in figure.axes[-columns:]:
            axes.set_xlabel("seconds since process start")

    rows = -(-len(panels) // 3)
    label = f"GPUs over {used_s:.0f} s: {', '.join(panel[1] for panel in panels)}"
    return chart(label, draw, WIDE, 190 * rows + 20, 150 * len(panels) + 30)


def _draw_anytime(figure: Figure, anytime: Anytime) -> None:
    axes = plain_axes(figure)
    chance, first_s = anytime.chance, anytime.first_image_s
    knots = [(0.0, chance), (first_s, chance)]
    knots += [(point.seconds, point.worth(chance)) for point in anytime.points if point.seconds > first_s]
    knots.append((max(anytime.budget_s, knots[-1][0]), knots[-1][1]))
    seconds, percents = [s for s, _ in knots], [100 * accuracy for _, accuracy in knots]
    axes.plot(seconds, percents, color=OURS, linewidth=1.8)
    axes.fill_between(seconds, percents, color=OURS, alpha=0.12, linewidth=0)
    for point in anytime.points:
        if point.accuracy:
            told = f"after {point.seconds:.0f} s, IPC {point.ipc:g}: {format_accuracy(point.accuracy)}"
            accuracy_point(axes, point.seconds, point.accuracy, OURS, "o", told)
    axes.axhline(100 * chance, color=MUTED, linewidth=1, linestyle=":")
    axes.set_ylim(0, min(1.25 * max(percents), 112.0))
    time_axis(axes, anytime.budget_s, anytime.used_s)
    axes.set_ylabel("test accuracy, %" + (" (preview)" if anytime.preview else ""))
