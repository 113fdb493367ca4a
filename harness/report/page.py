"""What all pages share: the template environment, colours, plain axes, charts as inline SVG."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from evaluation.base.durations import show_duration
from evaluation.curve.real_equivalent import worth_words
from evaluation.judge.score import Score
from harness.cards.other_card import get_card
from harness.report.pictures import picture_uri
from harness.report.sentences import format_accuracy, format_number, format_preview, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID = "#1f2933", "#6b7785", "#e4e8ee"
OURS, REAL, PAPER = "#2459c7", "#1c8a5a", "#c26a12"
DEADLINE = "#b3261e"


def render_page(template: str, **values: Any) -> str:
    """A self-contained HTML page that loads nothing from elsewhere: a template of `harness/report/templates`, filled.

    Everything but SVG is escaped. Raises jinja2.UndefinedError where the template needs a value that is not given.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(loader=PackageLoader("harness.report"), autoescape=True, undefined=StrictUndefined)
    environment.filters.update(
        percent=percent,
        duration=show_duration,
        number=format_number,
        accuracy=format_accuracy,
        preview=format_preview,
        worth=worth_words,
        card_title=lambda name: get_card(name).title,
        uri=picture_uri,
    )
    return environment.get_template(template).render(**values)


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of so many inches with one pair of plain axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    plain_axes(axes)
    return figure, axes


def plain_axes(axes: Axes) -> None:
    """Two thin lines, a light grid, small grey labels."""
    axes.tick_params(colors=MUTED, labelsize=8.5, length=3)
    axes.grid(True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(MUTED)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_color(MUTED)
        axis.label.set_fontsize(9)


def as_svg(figure: Figure) -> str:
    """The figure as an `<svg>` element."""
    import matplotlib

    buffer = io.StringIO()
    # a fixed salt and no date: the same record gives the same report
    with matplotlib.rc_context({"svg.hashsalt": "report"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :]


def accuracy_point(axes: Axes, x: float, accuracy: Score, colour: str, marker: str) -> None:
    """A marker at (x, mean accuracy in percent), with its 95% interval where there is one."""
    error = None
    if accuracy.ci95:
        error = [[100 * (accuracy.mean - accuracy.ci95[0])], [100 * (accuracy.ci95[1] - accuracy.mean)]]
    axes.errorbar(x, 100 * accuracy.mean, yerr=error, fmt=marker, color=colour, markersize=7, capsize=3, zorder=5)


def time_axis(axes: Axes, budget_s: float, used_s: float) -> None:
    """Seconds since the process started, up to the time used, and where the deadline is."""
    axes.set_xlabel("seconds since process start")
    near = used_s > 0.5 * budget_s
    axes.set_xlim(0, (max(budget_s, used_s) if near else used_s) * 1.02)
    if near:
        axes.axvline(budget_s, color=DEADLINE, linewidth=1.5)
    label = "deadline " if near else f"deadline at {budget_s:g} s \N{RIGHTWARDS ARROW}"
    place = (budget_s, 0.98) if near else (axes.get_xlim()[1], 0.98)
    axes.annotate(label, place, xycoords=("data", "axes fraction"), ha="right", va="top", color=DEADLINE, fontsize=8.5)


def plain_number(value: float, _position: float) -> str:
    """Tick labels of logarithmic axes: 10 instead of a power of ten."""
    return f"{value:g}"
