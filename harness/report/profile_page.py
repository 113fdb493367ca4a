"""A profile as rows of a table and as a self-contained page with charts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.base.challenge import get_challenge
from evaluation.base.files import write_text
from harness.planning.batch_times import line_of_steps
from harness.planning.planner import Prediction
from harness.planning.profile import Point, Profile, Sustained
from harness.report.page import render_page
from harness.report.style import HALF, MUTED, OURS, PAPER, REAL, TEXT, chart, plain_axes, plain_number, tip, tip_at

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = ("steps", "batch", "seconds", "quartiles", "decoding", "images/s", "peak memory")


def rows(profile: Profile) -> list[tuple[str, ...]]:
    """The cells of every point, including those that failed, by steps and batch size."""
    points = {(p.steps, p.batch_size): _cells(p) for p in profile.points}
    for failed in profile.failed:
        reason = failed.reason.replace("_", " ")
        cells = (str(failed.steps), str(failed.batch_size), reason, "", "", "", "")
        points.setdefault((failed.steps, failed.batch_size), cells)
    return [points[place] for place in sorted(points)]


def _cells(point: Point) -> tuple[str, ...]:
    return (
        str(point.steps),
        str(point.batch_size),
        f"{point.seconds:.4g}",
        f"{point.low_s:.4g} to {point.high_s:.4g}",
        f"{1000 * point.decode_s:.2g} ms",
        f"{point.images_per_s:.1f}",
        "" if point.peak_memory_mb is None else f"{point.peak_memory_mb:,.0f} MB",
    )


def describe_start(profile: Profile) -> str:
    """`Startup 4.1 s: process 0.3, import 2.5, load 0.4, first batch of 8 0.9; writing 0.8 ms per image`."""
    start, sustained = profile.start, profile.sustained
    sustained_text = ""
    if sustained:
        rate = sustained.batch_size / sustained.seconds
        sustained_text = f"; sustained with writing, batch {sustained.batch_size}: {rate:.1f} images/s"
    return (
        f"Startup {start.seconds:.2g} s: process {start.process_s:.2g}, import {start.import_s:.2g}, "
        f"load {start.load_s:.2g}, first batch of {start.first_batch_images} {start.first_batch_s:.2g}; "
        f"writing {1000 * profile.write_s:.2g} ms per image{sustained_text}"
    )


def render(profile: Profile, predictions: Sequence[Prediction], budget_s: float) -> str:
    """The page as HTML."""
    charts = [("Images per second by batch size", rate_chart(profile.points, profile.sustained))]
    if len({point.steps for point in profile.points}) > 1:
        charts.append(("Seconds per batch by steps", steps_chart(profile.points)))
    return render_page(
        "profile.html",
        title=f"{get_challenge(profile.key.dataset).title} · {profile.key.generator}: profile",
        profile=profile,
        start=describe_start(profile),
        charts=charts,
        budget_s=budget_s,
        predictions=[
            (p.steps, p.batch_size, f"{p.ipc:.4g}", f"{p.interval[0]:.4g} to {p.interval[1]:.4g}") for p in predictions
        ],
        columns=COLUMNS,
        rows=rows(profile),
    )


def write_page(folder: Path, profile: Profile, predictions: Sequence[Prediction], budget_s: float) -> Path:
    """Write `profile.html`; returns its path."""
    path = folder / "profile.html"
    write_text(path, render(profile, predictions, budget_s))
    return path


def rate_chart(points: Sequence[Point], sustained: Sustained | None) -> str:
    """Images per second against batch size, one line for each step count, with quartiles as bars."""

    def draw(figure: Figure) -> None:
        axes = plain_axes(figure)
        axes.set_xscale("log", base=2)
        all_steps = sorted({point.steps for point in points}, reverse=True)
        for colour, steps in zip(cycle((OURS, PAPER, MUTED)), all_steps, strict=False):
            line = sorted((p for p in points if p.steps == steps), key=lambda point: point.batch_size)
            rates = [point.images_per_s for point in line]
            below = [max(0.0, r - p.batch_size / (p.high_s + p.decode_s)) for r, p in zip(rates, line, strict=True)]
            above = [max(0.0, p.batch_size / (p.low_s + p.decode_s) - r) for r, p in zip(rates, line, strict=True)]
            sizes = [point.batch_size for point in line]
            label = f"{steps} steps"
            axes.errorbar(sizes, rates, [below, above], fmt="-o", color=colour, markersize=4, capsize=2, label=label)
            for size, rate in zip(sizes, rates, strict=True):
                tip_at(axes, size, rate, f"{label}, batch {size}: {rate:.4g} images/s")
        if sustained:
            rate, label = sustained.batch_size / sustained.seconds, "sustained, with writing"
            (mark,) = axes.plot(sustained.batch_size, rate, "D", color=REAL, markersize=8, label=label)
            tip(mark, f"{label}, batch {sustained.batch_size}: {rate:.4g} images/s")
        axes.xaxis.set_major_formatter(plain_number)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("batch size")
        axes.set_ylabel("images per second")
        axes.legend(frameon=False, fontsize=TEXT, labelcolor="linecolor")

    return chart("Images per second by batch size, one line for each number of steps", draw, HALF, 290)


def steps_chart(points: Sequence[Point]) -> str:
    """Seconds per batch against step count, for the batch size with the most step counts."""
    line = line_of_steps(points)

    def draw(figure: Figure) -> None:
        axes = plain_axes(figure)
        seconds = [point.seconds for point in line]
        below = [max(0.0, p.seconds - p.low_s) for p in line]
        above = [max(0.0, p.high_s - p.seconds) for p in line]
        axes.errorbar([p.steps for p in line], seconds, [below, above], fmt="-o", color=OURS, markersize=4, capsize=2)
        for point in line:
            tip_at(axes, point.steps, point.seconds, f"{point.steps} steps: {point.seconds:.4g} s")
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.set_xlabel(f"steps, at batch {line[0].batch_size}")
        axes.set_ylabel("seconds per batch")

    return chart(f"Seconds per batch by steps, at batch {line[0].batch_size}", draw, HALF, 290)
