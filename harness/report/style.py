"""How charts look and get onto a page: colours that follow the page's, two widths, values to point at.

A chart is drawn twice, once for a wide page and once for a phone, so that its text keeps its size on both; the page
shows one of the two.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from evaluation.judge.score import Score

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID = "#1f2933", "#657080", "#e4e8ee"
OURS, REAL, PAPER = "#2459c7", "#1c8a5a", "#b85f0a"
DEADLINE, FOURTH = "#b3261e", "#8a4fb0"
# what each colour becomes on a page: `style.css` has their values in light and in dark
ON_PAGE = {
    INK: "currentColor",
    MUTED: "var(--muted)",
    GRID: "var(--line)",
    OURS: "var(--ours)",
    REAL: "var(--real)",
    PAPER: "var(--paper)",
    DEADLINE: "var(--bad)",
    FOURTH: "var(--fourth)",
}
# of charts, in CSS pixels: over the whole page, over half of it, and on a phone of 360 pixels or more
WIDE, HALF, NARROW = 880, 420, 330
TEXT = 12  # pixels at these widths, so that no chart has less than 11 on a page
_POINT = 72  # matplotlib's SVG has as many pixels to the inch
_TIP = "tip: "
_SVG = "http://www.w3.org/2000/svg"


def chart(label: str, draw: Callable[[Figure], None], width: int, height: int, narrow_height: int | None = None) -> str:
    """A chart as HTML: two `<svg>` elements, one for each width of page.

    Args:
        label: what it shows, in a sentence, for those who cannot see it.
        draw: draws on an empty figure of whatever width.
        width, height: CSS pixels on a wide page; `narrow_height` on a phone, the same unless given.
    """
    wide = _as_svg(new_figure(width, height, draw), label, "wide")
    narrow = _as_svg(new_figure(NARROW, narrow_height or height, draw), label, "narrow")
    return f'<div class="chart">{wide}{narrow}</div>'


def new_figure(width: int, height: int, draw: Callable[[Figure], None]) -> Figure:
    """A figure of so many pixels with what `draw` draws on it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / _POINT, height / _POINT), dpi=_POINT, layout="constrained")
    draw(figure)
    return figure


def plain_axes(figure: Figure, *place: int) -> Axes:
    """Axes with two thin lines, a light grid and grey labels; `place` as in `add_subplot`."""
    axes = figure.add_subplot(*place)
    axes.tick_params(colors=MUTED, labelsize=TEXT, length=3)
    axes.grid(True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(MUTED)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_color(MUTED)
        axis.label.set_fontsize(TEXT)
    return axes


def is_narrow(figure: Figure) -> bool:
    """Whether it is the drawing for a phone."""
    return bool(figure.get_figwidth() * _POINT <= NARROW)


def tip(artist: Artist, text: str) -> None:
    """What the page shows where someone points at `artist`."""
    artist.set_gid(f"{_TIP}{text}")


def tip_at(axes: Axes, x: float, y: float, text: str) -> None:
    """An invisible disk to point at, for values on a line."""
    tip(axes.plot([x], [y], "o", color=MUTED, markersize=16, alpha=0.0, zorder=8)[0], text)


def accuracy_point(axes: Axes, x: float, accuracy: Score, colour: str, marker: str, text: str) -> None:
    """A marker at (x, mean accuracy in percent), with its 95% interval where there is one."""
    error = None
    if accuracy.ci95:
        error = [[100 * (accuracy.mean - accuracy.ci95[0])], [100 * (accuracy.ci95[1] - accuracy.mean)]]
    bars = axes.errorbar(
        x, 100 * accuracy.mean, yerr=error, fmt=marker, color=colour, markersize=8, capsize=3, zorder=5
    )
    tip(bars.lines[0], text)


def time_axis(axes: Axes, budget_s: float, used_s: float) -> None:
    """Seconds since the process started, up to the time used, and where the deadline is."""
    axes.set_xlabel("seconds since process start")
    near = used_s > 0.5 * budget_s
    axes.set_xlim(0, (max(budget_s, used_s) if near else used_s) * 1.02)
    if near:
        axes.axvline(budget_s, color=DEADLINE, linewidth=1.5)
    label = "deadline " if near else f"deadline at {budget_s:g} s \N{RIGHTWARDS ARROW}"
    place = (budget_s, 0.99) if near else (axes.get_xlim()[1], 0.99)
    axes.annotate(label, place, xycoords=("data", "axes fraction"), ha="right", va="top", color=DEADLINE, fontsize=TEXT)


def ipc_axis(axes: Axes) -> None:
    """A logarithmic horizontal axis with 1, 2, 5, 10, 20, ... written on it."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(plain_number)
    axes.xaxis.set_minor_formatter(NullFormatter())


def plain_number(value: float, _position: float) -> str:
    """Tick labels of logarithmic axes: 10 instead of a power of ten."""
    return f"{value:g}"


def _as_svg(figure: Figure, label: str, kind: str) -> str:
    """The figure as an `<svg class="kind">` element; its texts stay text and take the page's font."""
    import matplotlib

    buffer = io.StringIO()
    # a fixed salt and no date: the same record gives the same report; one of each kind: no two elements share an id
    with matplotlib.rc_context({"svg.hashsalt": f"{label} {kind}", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    root = ElementTree.fromstring(buffer.getvalue())
    for name in ("width", "height"):
        del root.attrib[name]
    root.attrib = {"class": kind, "role": "img", "aria-label": label, **root.attrib}
    for child in list(root):
        if child.tag == f"{{{_SVG}}}metadata" or child.find(f"{{{_SVG}}}style") is not None:
            root.remove(child)
    for group in root.iter(f"{{{_SVG}}}g"):
        name = group.attrib.pop("id", "")  # nothing refers to groups
        if name.startswith(_TIP):
            title = ElementTree.Element(f"{{{_SVG}}}title")
            title.text = name.removeprefix(_TIP)
            group.insert(0, title)
    for element in root.iter():
        if "style" in element.attrib:
            element.set("style", _on_page(element.attrib["style"]))
    svg = ElementTree.tostring(root, encoding="unicode")
    # HTML knows these elements without namespaces
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)
    return re.sub(r"<(/?)ns\d+:", r"<\1", svg).replace("\n", " ").replace("ns1:href", "href")


def _on_page(style: str) -> str:
    style = re.sub(r"font-family:[^;]*;?\s*", "", style)
    return re.sub(r"#[0-9a-f]{6}", lambda colour: ON_PAGE.get(colour[0], colour[0]), style)
