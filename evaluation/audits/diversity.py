"""Do the images of a class differ from each other as much as real ones do?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaluation.audits.base.audit import Audit, Number
from evaluation.audits.base.probe import Facts
from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet

_GRID = 8  # distances are taken between means over an 8 x 8 grid, so that noise on one picture is no diversity
_FEWEST = 3  # images a class needs for its own ratio to be held against it
# Of 1,200 draws of real images, 3 of a class had at least 0.41 of the spread of the whole class and 10 at least 0.68;
# the median over all classes was at least 0.81, with 2 of each.
_COLLAPSED = 0.35
_NARROW = 0.6


def spread(images: NDArray[np.uint8]) -> float:
    """Root mean square distance between the images of a class, per channel of an 8 x 8 grid, in [0, 1].

    Args:
        images: uint8 (N, 3, H, W), N at least 2, H and W multiples of 8.
    """
    count, channels, height, width = images.shape
    cells = images.reshape(count, channels, _GRID, height // _GRID, _GRID, width // _GRID)
    means = cells.mean((3, 5), dtype=np.float32) / 255
    return float(np.sqrt(2 * means.var(0, ddof=1).mean()))


def audit_diversity(images: ImageSet, challenge: Challenge, facts: Facts) -> Audit:
    """Hold the spread of each class against the real one's; warn where a class has collapsed or all are narrow.

    Numbers: `ratio` (median over classes), `least` (the lowest class), `collapsed` (names of up to 20 classes).
    """
    counts = np.bincount(images.labels, minlength=challenge.classes)
    several = np.flatnonzero(counts >= 2)
    if not len(several):
        return Audit("diversity", "pass", "one image a class has no diversity to look at", {"ratio": None})
    ratios = np.array([spread(images.images[images.labels == label]) for label in several]) / facts.spreads[several]
    collapsed = several[(ratios < _COLLAPSED) & (counts[several] >= _FEWEST)]
    ratio = float(np.median(ratios))
    names = [challenge.folder_name(int(label)) for label in collapsed[:20]]
    numbers: dict[str, Number] = {"ratio": ratio, "least": float(ratios.min()), "collapsed": names}
    told = f"images of a class differ {ratio:.2f} times as much as real ones"
    if len(collapsed):
        told += f"; {len(collapsed)} classes have nearly one picture ({', '.join(names[:3])})"
    return Audit("diversity", "warn" if len(collapsed) or ratio < _NARROW else "pass", told, numbers)
