"""A profile for people: a table for the terminal, and a self-contained page with its plots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.base.challenge import get_challenge
from evaluation.base.durations import show_duration
from evaluation.base.files import write_text
from harness.planning.planner import Prediction
from harness.planning.profile import Point, Profile
from harness.report import charts

if TYPE_CHECKING:
    from rich.table import Table

_COLUMNS = ("steps", "batch", "seconds", "quartiles", "decoding", "images/s", "peak memory")


def profile_table(profile: Profile) -> Table:
    """Every point of `profile`, those without a result included."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in _COLUMNS:
        table.add_column(column, justify="right")
    for cells in rows(profile):
        table.add_row(*cells)
    return table


def rows(profile: Profile) -> list[tuple[str, ...]]:
    """The cells of the table, by steps and batch size."""
    points = {(p.steps, p.batch_size): _cells(p) for p in profile.points}
    for failed in profile.failed:
        words = failed.reason.replace("_", " ")
        points.setdefault(
            (failed.steps, failed.batch_size), (str(failed.steps), str(failed.batch_size), words, "", "", "", "")
        )
    return [points[place] for place in sorted(points)]


def _cells(point: Point) -> tuple[str, ...]:
    memory = "" if point.peak_memory_mb is None else f"{point.peak_memory_mb:,.0f} MB"
    return (
        str(point.steps),
        str(point.batch_size),
        f"{point.seconds:.4g}",
        f"{point.low_s:.4g} to {point.high_s:.4g}",
        f"{1000 * point.decode_s:.2g} ms",
        f"{point.images_per_s:.1f}",
        memory,
    )


def start_words(profile: Profile) -> str:
    """`Start 4.1 s: process 0.3, import 2.5, load 0.4, first batch of 8 0.9; writing 0.8 ms an image`."""
    start, sustained = profile.start, profile.sustained
    in_a_row = ""
    if sustained:
        rate = sustained.batch_size / sustained.seconds
        in_a_row = f"; in a row and written, batch {sustained.batch_size}: {rate:.1f} images/s"
    return (
        f"Start {start.seconds:.2g} s: process {start.process_s:.2g}, import {start.import_s:.2g}, "
        f"load {start.load_s:.2g}, first batch of {start.first_batch_images} {start.first_batch_s:.2g}; "
        f"writing {1000 * profile.write_s:.2g} ms an image{in_a_row}"
    )


def write_page(folder: Path, profile: Profile, predictions: Sequence[Prediction], budget_s: float) -> Path:
    """Write `profile.html`, one file that loads nothing from elsewhere; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "profile.html"
    write_text(path, render(profile, predictions, budget_s))
    return path


def render(profile: Profile, predictions: Sequence[Prediction], budget_s: float) -> str:
    """The page as text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    drawn = [("Images per second by batch size", charts.rate_chart(profile.points, profile.sustained))]
    if len({point.steps for point in profile.points}) > 1:
        drawn.append(("Seconds per batch by steps", charts.steps_chart(profile.points)))
    foreseen = [
        (p.steps, p.batch_size, f"{p.ipc:.4g}", f"{p.interval[0]:.4g} to {p.interval[1]:.4g}") for p in predictions
    ]
    environment = Environment(loader=PackageLoader("harness.report"), autoescape=True, undefined=StrictUndefined)
    environment.filters["duration"] = show_duration
    return environment.get_template("profile.html").render(
        title=f"{get_challenge(profile.key.dataset).title} · {profile.key.generator}: profile",
        profile=profile,
        start=start_words(profile),
        charts=drawn,
        budget_s=budget_s,
        foreseen=foreseen,
        columns=_COLUMNS,
        rows=rows(profile),
    )
