"""How long a batch takes in a run, from a profile: as measured, and between and beyond what was.

Seconds per batch are taken to be linear in steps wherever only some step counts were measured, as the published
ablation finds (0.5 s a step, `docs/protocol.md`), and linear in images between two measured batch sizes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from harness.planning.profile import Point, Profile

# A run's mean batch is not known better than this from a profile, whatever the quartiles say.
MIN_UNCERTAINTY = 0.03
# More, where no batch was measured with these steps and the line has one point only.
UNMEASURED_UNCERTAINTY = 0.15


class Span(NamedTuple):
    """An estimate with an interval around it."""

    low: float
    middle: float
    high: float


def batch_sizes(profile: Profile) -> list[int]:
    """The sizes that were measured."""
    return sorted({point.batch_size for point in profile.points})


def batch_seconds(profile: Profile, steps: int, batch_size: int) -> Span:
    """Seconds of one batch in a run: making, decoding, and what writing in the background costs the two."""
    sustained = profile.sustained
    if sustained and (sustained.steps, sustained.batch_size) == (steps, batch_size):
        return _widened(sustained.low_s, sustained.seconds, sustained.high_s)
    alone = _alone(profile.points, steps, batch_size)
    behind_s = batch_size * _writing_s(profile)
    return Span(alone.low + behind_s, alone.middle + behind_s, alone.high + behind_s)


def _alone(points: Sequence[Point], steps: int, batch_size: int) -> Span:
    """Seconds of a batch with nothing going on behind it, measured or from the lines between what was."""
    sizes = sorted({point.batch_size for point in points})
    if batch_size in sizes:
        return _at_steps(points, steps, batch_size)
    spans = [_at_steps(points, steps, size) for size in sizes]
    found = Span(*(float(np.interp(batch_size, sizes, ends)) for ends in zip(*spans, strict=True)))
    if sizes[0] <= batch_size <= sizes[-1]:
        return found
    scale = max(1.0, batch_size / sizes[-1])  # larger ones than were measured take in proportion, as they are alike
    return _widened(scale * found.low, scale * found.middle, scale * found.high, UNMEASURED_UNCERTAINTY)


def _at_steps(points: Sequence[Point], steps: int, batch_size: int) -> Span:
    """Seconds of a measured batch size at any step count."""
    here = [point for point in points if point.batch_size == batch_size]
    measured = next((point for point in here if point.steps == steps), None)
    if measured:
        return _widened(measured.low_s + measured.decode_s, measured.batch_s, measured.high_s + measured.decode_s)
    decode_s = sum(point.decode_s for point in here) / len(here)
    if len(here) > 1:
        fixed, each = _line([(point.steps, point.seconds) for point in here])
        seconds = decode_s + fixed + each * steps
        return _widened(seconds, seconds, seconds)
    ratio, least = _growth(points, here[0].steps, steps)
    seconds = here[0].seconds * ratio + decode_s
    return _widened(seconds, seconds, seconds, least)


def _growth(points: Sequence[Point], measured: int, steps: int) -> tuple[float, float]:
    """How many times as long a batch takes at `steps` as at `measured`, and how uncertain that is at least.

    As at the batch size with most step counts; in proportion to steps where each size has one only.
    """
    line = line_of_steps(points)
    if len(line) == 1:
        return steps / measured, UNMEASURED_UNCERTAINTY
    fixed, each = _line([(point.steps, point.seconds) for point in line])
    return (fixed + each * steps) / (fixed + each * measured), MIN_UNCERTAINTY


def line_of_steps(points: Sequence[Point]) -> list[Point]:
    """The points of the batch size with most step counts, the larger of two such, by steps."""
    sizes = [point.batch_size for point in points]
    size = max(sizes, key=lambda size: (sizes.count(size), size))
    return sorted((point for point in points if point.batch_size == size), key=lambda point: point.steps)


def _line(measured: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """(fixed, each) of seconds = fixed + each * steps, by least squares; neither is below 0."""
    from scipy.optimize import nnls

    fixed, each = nnls([(1, steps) for steps, _ in measured], [seconds for _, seconds in measured])[0]
    return float(fixed), float(each)


def _writing_s(profile: Profile) -> float:
    """What writing in the background costs making and decoding, seconds an image: it takes processor time as well."""
    sustained = profile.sustained
    if sustained is None:
        return 0.0
    alone = _alone(profile.points, sustained.steps, sustained.batch_size)
    return max(0.0, sustained.seconds - alone.middle) / sustained.batch_size


def _widened(low: float, middle: float, high: float, least: float = MIN_UNCERTAINTY) -> Span:
    return Span(min(low, middle * (1 - least)), middle, max(high, middle * (1 + least)))
