"""The result of `tune` as rows of a table and as a self-contained page with charts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from evaluation.base.durations import show_duration
from evaluation.base.files import write_text
from harness.planning.planner import Prediction
from harness.report.page import GRID, INK, MUTED, OURS, as_svg, new_figure, plain_number, render_page
from harness.tuning.successive_halving import CandidateResult, Tuning

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = ("candidate", "images in budget", "IPC", "pilots up to IPC", "forecast", "95% interval", "P(best)", "cost")


def rows(result: Tuning, predicted: Mapping[str, Prediction]) -> list[tuple[str, ...]]:
    """The cells of the table, in the order of the candidates, with the chosen one marked."""
    return [_cells(each, predicted[each.candidate.name], each.candidate == result.chosen) for each in result.results]


def _cells(each: CandidateResult, prediction: Prediction, chosen: bool) -> tuple[str, ...]:
    low, high = each.forecast.ci95
    return (
        each.candidate.name + (" (chosen)" if chosen else ""),
        f"{prediction.images:,}",
        f"{prediction.ipc:.4g}",
        str(each.pilots[-1].ipc),
        f"{100 * each.forecast.accuracy:.2f}%",
        f"{100 * low:.2f} to {100 * high:.2f}",
        f"{100 * each.forecast.best:.0f}%",
        show_duration(each.seconds),
    )


def write_page(folder: Path, title: str, result: Tuning, predicted: Mapping[str, Prediction], epochs: int) -> Path:
    """Write `tune.html`; returns its path."""
    charts = (
        ("Accuracy for the budget", steps_chart(result)),
        ("Accuracy against IPC", ipc_chart(result)),
        ("Images per class in the budget", images_chart(result, predicted)),
    )
    path = folder / "tune.html"
    page = render_page(
        "tune.html",
        title=title,
        charts=charts,
        columns=COLUMNS,
        rows=rows(result, predicted),
        epochs=epochs,
        chosen=result.chosen.name,
    )
    write_text(path, page)
    return path


def steps_chart(result: Tuning) -> str:
    """The forecast for the budget against steps; pale where a candidate was dropped early."""
    figure, axes = new_figure(4.9, 3.3)
    last = max(each.level for each in result.results)
    for each in result.results:
        forecast, chosen = each.forecast, each.candidate == result.chosen
        low, high = ([100 * abs(forecast.accuracy - end)] for end in forecast.ci95)
        axes.errorbar(
            each.candidate.steps,
            100 * forecast.accuracy,
            [low, high],
            fmt="D" if chosen else "o",
            color=OURS if chosen else MUTED,
            alpha=0.35 + 0.65 * each.level / last,
            markersize=7 if chosen else 5,
            capsize=3,
        )
    axes.set_xlim(left=0)
    _percent_axis(axes)
    axes.set_xlabel("steps")
    axes.set_ylabel("forecast accuracy, %")
    return as_svg(figure)


def ipc_chart(result: Tuning) -> str:
    """The pilots, and a line from the last of them to the forecast at the budget's IPC."""
    figure, axes = new_figure(4.9, 3.3)
    axes.set_xscale("log")
    for each in sorted(result.results, key=lambda each: each.candidate == result.chosen):
        chosen = each.candidate == result.chosen
        colour = OURS if chosen else MUTED
        ipc, means = [pilot.ipc for pilot in each.pilots], [100 * fmean(pilot.rounds) for pilot in each.pilots]
        axes.plot(ipc, means, "-o", color=colour, markersize=4, linewidth=1.6 if chosen else 1.0)
        end = (each.forecast.ipc, 100 * each.forecast.accuracy)
        axes.plot([ipc[-1], end[0]], [means[-1], end[1]], ":", color=colour, linewidth=1.2)
        axes.annotate(f" {each.candidate.steps}", end, color=colour, fontsize=8.5, va="center")
    axes.xaxis.set_major_formatter(plain_number)
    _percent_axis(axes)
    axes.set_xlabel("images per class (IPC); dotted: forecast")
    axes.set_ylabel("accuracy, %")
    return as_svg(figure)


def _percent_axis(axes: Axes) -> None:
    """Leave room above and below, within 0 and 100%."""
    low, high = axes.get_ylim()
    axes.set_ylim(max(0.0, low - 0.1 * (high - low)), min(102.0, high + 0.1 * (high - low)))


def images_chart(result: Tuning, predicted: Mapping[str, Prediction]) -> str:
    """Predicted images per class in the budget, by candidate."""
    figure, axes = new_figure(9.0, 2.4)
    names = [each.candidate.name for each in result.results]
    ipc = [predicted[name].ipc for name in names]
    below = [max(0.0, value - predicted[name].interval[0]) for name, value in zip(names, ipc, strict=True)]
    above = [max(0.0, predicted[name].interval[1] - value) for name, value in zip(names, ipc, strict=True)]
    colours = [OURS if each.candidate == result.chosen else GRID for each in result.results]
    axes.bar(names, ipc, yerr=[below, above], color=colours, width=0.7, ecolor=INK, capsize=3)
    axes.set_ylabel("images per class")
    return as_svg(figure)
