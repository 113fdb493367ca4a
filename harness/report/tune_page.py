"""The result of `tune` as rows of a table and as a self-contained page with charts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from evaluation.base.durations import show_duration
from evaluation.base.files import write_text
from harness.planning.planner import Prediction
from harness.report.page import render_page
from harness.report.style import HALF, INK, MUTED, OURS, TEXT, WIDE, chart, ipc_axis, plain_axes, tip, tip_at
from harness.tuning.successive_halving import CandidateResult, Tuning

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
    last = max(each.level for each in result.results)

    def draw(figure: Figure) -> None:
        axes = plain_axes(figure)
        for each in result.results:
            forecast, chosen = each.forecast, each.candidate == result.chosen
            low, high = ([100 * abs(forecast.accuracy - end)] for end in forecast.ci95)
            bars = axes.errorbar(
                each.candidate.steps,
                100 * forecast.accuracy,
                [low, high],
                fmt="D" if chosen else "o",
                color=OURS if chosen else MUTED,
                alpha=0.35 + 0.65 * each.level / last,
                markersize=8 if chosen else 6,
                capsize=3,
            )
            ends = " to ".join(f"{100 * end:.2f}" for end in forecast.ci95)
            tip(bars.lines[0], f"{each.candidate.name}: {100 * forecast.accuracy:.2f}% ({ends})")
        axes.set_xlim(left=0)
        _percent_axis(axes)
        axes.set_xlabel("steps")
        axes.set_ylabel("forecast accuracy, %")

    return chart(f"Forecast accuracy by steps; {result.chosen.name} was chosen", draw, HALF, 290)


def ipc_chart(result: Tuning) -> str:
    """The pilots, and a line from the last of them to the forecast at the budget's IPC."""

    def draw(figure: Figure) -> None:
        axes = plain_axes(figure)
        ipc_axis(axes)
        for each in sorted(result.results, key=lambda each: each.candidate == result.chosen):
            chosen = each.candidate == result.chosen
            colour = OURS if chosen else MUTED
            ipc, means = [pilot.ipc for pilot in each.pilots], [100 * fmean(pilot.rounds) for pilot in each.pilots]
            axes.plot(ipc, means, "-o", color=colour, markersize=4, linewidth=1.6 if chosen else 1.0)
            end = (each.forecast.ipc, 100 * each.forecast.accuracy)
            axes.plot([ipc[-1], end[0]], [means[-1], end[1]], ":", color=colour, linewidth=1.2)
            axes.annotate(f" {each.candidate.steps}", end, color=colour, fontsize=TEXT, va="center")
            for x, mean in zip(ipc, means, strict=True):
                tip_at(axes, x, mean, f"{each.candidate.name}, IPC {x}: {mean:.2f}%")
        _percent_axis(axes)
        axes.set_xlabel("images per class (IPC); dotted: forecast")
        axes.set_ylabel("accuracy, %")

    return chart("Accuracy of the pilots against images per class, with the forecasts", draw, HALF, 290)


def _percent_axis(axes: Axes) -> None:
    """Leave room above and below, within 0 and 100%."""
    low, high = axes.get_ylim()
    axes.set_ylim(max(0.0, low - 0.1 * (high - low)), min(102.0, high + 0.1 * (high - low)))


def images_chart(result: Tuning, predicted: Mapping[str, Prediction]) -> str:
    """Predicted images per class in the budget, by candidate."""

    def draw(figure: Figure) -> None:
        axes = plain_axes(figure)
        for each in result.results:
            name, chosen = each.candidate.name, each.candidate == result.chosen
            found = predicted[name]
            ends = [[max(0.0, found.ipc - found.interval[0])], [max(0.0, found.interval[1] - found.ipc)]]
            (bar,) = axes.barh(
                name, found.ipc, height=0.7, color=OURS if chosen else MUTED, alpha=1.0 if chosen else 0.5
            )
            axes.errorbar(found.ipc, name, xerr=ends, color=INK, capsize=3)
            tip(bar, f"{name}: {found.ipc:.4g} ({found.interval[0]:.4g} to {found.interval[1]:.4g})")
        axes.invert_yaxis()
        axes.set_xlabel("images per class")

    height = 60 + 28 * len(result.results)
    return chart("Predicted images per class in the budget, by candidate", draw, WIDE, height)
