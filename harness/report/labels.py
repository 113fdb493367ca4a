"""Names beside points in a chart, placed where they cover neither points nor each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.report.style import TEXT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# (..., 4): left, bottom, right, top, in pixels
Boxes = NDArray[np.float64]

_MARK = 6  # pixels around a point that no name may cover
_DISTANCES = (9, 20, 34, 50)  # from the point, pixels
_DIRECTIONS = ((1, 0), (-1, 0), (0.0, 1), (0.0, -1), (0.7, 0.7), (-0.7, 0.7), (0.7, -0.7), (-0.7, -0.7))


@dataclass(frozen=True)
class Named:
    """A point, in data coordinates, and its name."""

    x: float
    y: float
    text: str
    colour: str


def place_names(axes: Axes, points: Sequence[Named], taken: Sequence[tuple[float, float]] = ()) -> None:
    """Write each name where it covers least; a thin line leads to a name that is not next to its point.

    Limits and scales of the axes must be final. `taken`: more points that no name may cover.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None, "axes lie in a figure"
    figure.draw_without_rendering()
    frame = np.array(axes.get_window_extent().extents)
    at = axes.transData.transform
    marks = at([*((point.x, point.y) for point in points), *taken])
    boxes = np.concatenate([marks - _MARK, marks + _MARK], axis=1)
    for point, (x, y) in zip(points, marks, strict=False):
        name = axes.annotate(point.text, (point.x, point.y), fontsize=TEXT, color=point.colour, zorder=6)
        size = name.get_window_extent()
        options = [
            (_beside(x, y, size.width, size.height, direction, distance), distance)
            for distance in _DISTANCES
            for direction in _DIRECTIONS
        ]
        box, distance = min(options, key=lambda option: _covered(option[0], boxes, frame) + option[1])
        boxes = np.concatenate([boxes, [box]])
        name.remove()
        line = {"arrowstyle": "-", "color": point.colour, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 4}
        axes.annotate(
            point.text,
            (point.x, point.y),
            (box[0], box[1] + 0.2 * size.height),
            textcoords="figure pixels",
            fontsize=TEXT,
            color=point.colour,
            zorder=6,
            annotation_clip=False,
            arrowprops=line if distance > _DISTANCES[0] else None,
        )


def _beside(x: float, y: float, width: float, height: float, direction: tuple[float, float], distance: float) -> Boxes:
    """The box of a name of this size whose nearest edge or corner is so far away from (x, y)."""
    across, up = direction
    left = x + across * distance - (width if across < 0 else width / 2 if across == 0 else 0)
    bottom = y + up * distance - (height if up < 0 else height / 2 if up == 0 else 0)
    return np.array([left, bottom, left + width, bottom + height])


def _covered(box: Boxes, boxes: Boxes, frame: Boxes) -> float:
    """How much a box covers of others and how much of it lies outside the frame, square pixels."""
    own = float((box[2:] - box[:2]).prod())
    return float(_common(box, boxes).sum()) + 10 * (own - float(_common(box, frame)))


def _common(box: Boxes, others: Boxes) -> Boxes:
    """The area that a box shares with each of the others."""
    low, high = np.maximum(box[:2], others[..., :2]), np.minimum(box[2:], others[..., 2:])
    shared: Boxes = (high - low).clip(0).prod(-1)
    return shared
