"""A tuning for people: a table for the terminal, and a self-contained page with its plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from evaluation.base.durations import show_duration
from evaluation.base.files import write_text
from harness.planning.planner import Prediction
from harness.report.style import GRID, INK, MUTED, OURS, as_svg, new_figure, plain_number
from harness.tuning.successive_halving import CandidateResult, Tuning

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.table import Table

COLUMNS = ("candidate", "images in the budget", "IPC", "pilots up to IPC", "forecast", "95% interval", "best", "cost")


def rows(tuned: Tuning, foreseen: Mapping[str, Prediction]) -> list[tuple[str, ...]]:
    """The cells of the table, in the order of the candidates; the one chosen is marked."""
    return [_cells(trial, foreseen[trial.candidate.name], trial.candidate == tuned.chosen) for trial in tuned.results]


def _cells(trial: CandidateResult, prediction: Prediction, chosen: bool) -> tuple[str, ...]:
    low, high = trial.forecast.ci95
    return (
        trial.candidate.name + (" (chosen)" if chosen else ""),
        f"{prediction.images:,}",
        f"{prediction.ipc:.4g}",
        str(trial.pilots[-1].ipc),
        f"{100 * trial.forecast.accuracy:.2f}%",
        f"{100 * low:.2f} to {100 * high:.2f}",
        f"{100 * trial.forecast.best:.0f}%",
        show_duration(trial.seconds),
    )


def tune_table(lines: Sequence[Sequence[str]]) -> Table:
    """For the terminal."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(COLUMNS):
        table.add_column(column, justify="right" if number else "left")
    for cells in lines:
        table.add_row(*cells)
    return table


def write_page(folder: Path, title: str, tuned: Tuning, foreseen: Mapping[str, Prediction], epochs: int) -> Path:
    """Write `tune.html`, one file that loads nothing from elsewhere; returns its path."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    charts = (
        ("Accuracy for the budget", steps_chart(tuned)),
        ("Accuracy against IPC", ipc_chart(tuned)),
        ("Images the budget gives", time_chart(tuned, foreseen)),
    )
    environment = Environment(loader=PackageLoader("harness.report"), autoescape=True, undefined=StrictUndefined)
    page = environment.get_template("tune.html").render(
        title=title, charts=charts, columns=COLUMNS, rows=rows(tuned, foreseen), epochs=epochs, tuned=tuned
    )
    path = folder / "tune.html"
    write_text(path, page)
    return path


def steps_chart(tuned: Tuning) -> str:
    """The forecast for the budget against steps; pale where a candidate was given up early."""
    figure, axes = new_figure(4.9, 3.3)
    last = max(trial.level for trial in tuned.results)
    for trial in tuned.results:
        forecast, chosen = trial.forecast, trial.candidate == tuned.chosen
        low, high = ([100 * abs(forecast.accuracy - end)] for end in forecast.ci95)
        axes.errorbar(
            trial.candidate.steps,
            100 * forecast.accuracy,
            [low, high],
            fmt="D" if chosen else "o",
            color=OURS if chosen else MUTED,
            alpha=0.35 + 0.65 * trial.level / last,
            markersize=7 if chosen else 5,
            capsize=3,
        )
    axes.set_xlim(left=0)
    _percent_axis(axes)
    axes.set_xlabel("steps")
    axes.set_ylabel("forecast accuracy, %")
    return as_svg(figure)


def ipc_chart(tuned: Tuning) -> str:
    """The pilots, and the way from the last of them to the forecast at the budget's IPC."""
    figure, axes = new_figure(4.9, 3.3)
    axes.set_xscale("log")
    for trial in sorted(tuned.results, key=lambda trial: trial.candidate == tuned.chosen):
        chosen = trial.candidate == tuned.chosen
        colour = OURS if chosen else MUTED
        ipc, means = [pilot.ipc for pilot in trial.pilots], [100 * fmean(pilot.rounds) for pilot in trial.pilots]
        axes.plot(ipc, means, "-o", color=colour, markersize=4, linewidth=1.6 if chosen else 1.0)
        end = (trial.forecast.ipc, 100 * trial.forecast.accuracy)
        axes.plot([ipc[-1], end[0]], [means[-1], end[1]], ":", color=colour, linewidth=1.2)
        axes.annotate(f" {trial.candidate.steps}", end, color=colour, fontsize=8.5, va="center")
    axes.xaxis.set_major_formatter(plain_number)
    _percent_axis(axes)
    axes.set_xlabel("images per class (IPC); dotted: to the budget's")
    axes.set_ylabel("accuracy, %")
    return as_svg(figure)


def _percent_axis(axes: Axes) -> None:
    """Room above and below what is drawn, within 0 and 100."""
    low, high = axes.get_ylim()
    axes.set_ylim(max(0.0, low - 0.1 * (high - low)), min(102.0, high + 0.1 * (high - low)))


def time_chart(tuned: Tuning, foreseen: Mapping[str, Prediction]) -> str:
    """Images per class that the budget gives, by candidate."""
    figure, axes = new_figure(9.0, 2.4)
    names = [trial.candidate.name for trial in tuned.results]
    ipc = [foreseen[name].ipc for name in names]
    below = [max(0.0, value - foreseen[name].interval[0]) for name, value in zip(names, ipc, strict=True)]
    above = [max(0.0, foreseen[name].interval[1] - value) for name, value in zip(names, ipc, strict=True)]
    colours = [OURS if trial.candidate == tuned.chosen else GRID for trial in tuned.results]
    axes.bar(names, ipc, yerr=[below, above], color=colours, width=0.7, ecolor=INK, capsize=3)
    axes.set_ylabel("images per class")
    return as_svg(figure)
