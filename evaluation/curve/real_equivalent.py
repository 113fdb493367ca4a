"""How many random real images per class give an accuracy, interpolated on the measured curve."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.base.challenge import Challenge
from evaluation.curve.curve import CurvePoint, load_curve

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RealEquivalent:
    """The number of random real images per class that reach a submission's accuracy.

    Attributes:
        ipc: None if the accuracy lies above the last point measured, whose IPC is `highest`.
        ci95: low and high end, each None if above the last point; None as a whole if there are single rounds only.
    """

    ipc: float | None
    ci95: tuple[float | None, float | None] | None
    highest: float


def worth_of(
    accuracy: float, ci95: tuple[float, float] | None, epochs: int, challenge: Challenge
) -> RealEquivalent | None:
    """The real equivalent of an accuracy on the shipped curve with the same epochs; None without such a curve."""
    return real_equivalent(accuracy, ci95, load_curve(challenge).at(epochs), challenge.chance)


def worth_words(worth: RealEquivalent) -> str:
    """`12.3 real images per class (95% interval 10.1 to 14.9)`; beyond the measured curve it says so."""
    if worth.ipc is None:
        return f"more real images per class than were measured (above {worth.highest:g})"
    words = f"{worth.ipc:.1f} real images per class"
    if worth.ci95 is None:
        return words
    low, high = (f"above {worth.highest:g}" if end is None else f"{end:.1f}" for end in worth.ci95)
    return f"{words} (95% interval {low} to {high})"


def real_equivalent(
    accuracy: float, ci95: tuple[float, float] | None, points: Sequence[CurvePoint], chance: float
) -> RealEquivalent | None:
    """How many random real images per class give `accuracy`, with the interval that both sides' rounds leave.

    The ends are the IPC at which the curve differs from the accuracy by the 95% half-width of that difference: the root
    of the sum of both squared half-widths (Fieller's construction, interpolated like the curve).

    Args:
        accuracy: a fraction, the mean of rounds.
        ci95: its 95% interval; None for one round.
        points: with the same number of epochs, in order of IPC. One with a single round takes its std from all others.
        chance: the accuracy of random guessing.

    Returns:
        None where there are no points.
    """
    if not points:
        return None
    ipc_P = np.array([point.ipc for point in points], float)
    mean_P = np.array([point.mean for point in points])
    found = _inverse(accuracy, ipc_P, mean_P, chance)
    halves_P = _half_widths(points)
    if ci95 is None or halves_P is None:
        return RealEquivalent(found, None, points[-1].ipc)
    off_P = np.hypot(halves_P, (ci95[1] - ci95[0]) / 2)
    ends = (_inverse(accuracy, ipc_P, mean_P + off_P, chance), _inverse(accuracy, ipc_P, mean_P - off_P, chance))
    return RealEquivalent(found, ends, points[-1].ipc)


def _inverse(accuracy: float, ipc_P: _Floats, mean_P: _Floats, chance: float) -> float | None:
    """Linear in the logarithm of IPC between the points, linear from chance at 0 to the first point below it.

    The means are made non-decreasing first. None above the last point, where nothing is known.
    """
    mean_P = np.maximum.accumulate(np.maximum(mean_P, chance))
    if accuracy > mean_P[-1]:
        return None
    if accuracy <= mean_P[0]:
        above = mean_P[0] - chance
        return float(ipc_P[0] * max(0.0, accuracy - chance) / above) if above > 0 else float(ipc_P[0])
    right = int(np.searchsorted(mean_P, accuracy))
    fraction = (accuracy - mean_P[right - 1]) / (mean_P[right] - mean_P[right - 1])
    low, high = np.log(ipc_P[right - 1]), np.log(ipc_P[right])
    return float(np.exp(low + fraction * (high - low)))


def _half_widths(points: Sequence[CurvePoint]) -> _Floats | None:
    """Half of each point's 95% interval; of a single round by the pooled std of all others. None if all are single."""
    from scipy.stats import t

    freedom = sum(len(point.rounds) - 1 for point in points)
    if freedom == 0:
        return None
    pooled = sum(float(np.var(point.rounds)) * len(point.rounds) for point in points) / freedom
    single = float(t.ppf(0.975, freedom)) * pooled**0.5
    return np.array([single if point.ci95 is None else (point.ci95[1] - point.ci95[0]) / 2 for point in points])
