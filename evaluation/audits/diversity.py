"""Do the images of a class differ from each other as much as real ones do?"""

import numpy as np
from numpy.typing import NDArray

from evaluation.audits.audit import Finding, Status
from evaluation.audits.probe import Facts
from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet

_GRID = 8  # distances are taken between means over an 8 x 8 grid, so that noise on one picture is not diversity
_FEWEST_IMAGES = 3  # of a class, for its own ratio to count
# In 1,200 samples of real images, 3 of a class had at least 0.41 of the spread of the whole class and 10 at least 0.68;
# the median over all classes was at least 0.81 with 2 of each.
_COLLAPSED = 0.35
_NARROW = 0.6


def spread(images: NDArray[np.uint8]) -> float:
    """Root mean square distance between the images of a class, per channel of an 8 x 8 grid, in [0, 1].

    `images` are uint8 (N, 3, H, W), N at least 2, H and W multiples of 8.
    """
    count, channels, height, width = images.shape
    cells = images.reshape(count, channels, _GRID, height // _GRID, _GRID, width // _GRID)
    means = cells.mean((3, 5), dtype=np.float32) / 255
    return float(np.sqrt(2 * means.var(0, ddof=1).mean()))


def audit_diversity(images: ImageSet, challenge: Challenge, facts: Facts) -> Finding:
    """Compare the spread of each class with the real one's; warn if a class has collapsed or all are too narrow.

    Numbers: `ratio` (median over classes), `least` (the lowest class), `collapsed` (names of up to 20 classes).
    """
    counts = np.bincount(images.labels, minlength=challenge.classes)
    compared = np.flatnonzero(counts >= 2)
    if not len(compared):
        return Finding(
            "pass", "a single image per class has no diversity to measure", {"ratio": None}, conclusive=False
        )
    ratios = np.array([spread(images.images[images.labels == label]) for label in compared]) / facts.spreads[compared]
    collapsed = compared[(ratios < _COLLAPSED) & (counts[compared] >= _FEWEST_IMAGES)]
    ratio = float(np.median(ratios))
    names = [challenge.folder_name(int(label)) for label in collapsed[:20]]
    evidence = f"images of a class differ {ratio:.2f} times as much as real ones"
    if len(collapsed):
        evidence += f"; {len(collapsed)} classes show nearly the same picture throughout ({', '.join(names[:3])})"
    status: Status = "warn" if len(collapsed) or ratio < _NARROW else "pass"
    return Finding(status, evidence, {"ratio": ratio, "least": float(ratios.min()), "collapsed": names})
