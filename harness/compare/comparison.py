"""Submissions against the first of them: a difference at every place that both were measured at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from evaluation.judge.score import accuracy_interval
from harness.compare.sides import Measured, Place, Side, by_seed
from harness.compare.statistics import Difference, difference, holm


@dataclass(frozen=True)
class Mean:
    """An accuracy with its spread, fractions.

    Attributes:
        ci95: by Student's t; None for a single value.
        n, unit: how many values it is the mean of, and what they are: `rounds` of the judge or `seeds` of images.
        ipc: images per class.
    """

    accuracy: float
    ci95: tuple[float, float] | None
    n: int
    unit: str
    ipc: float


@dataclass(frozen=True)
class Compared:
    """B against A at one place, which each calls by its own limit.

    Attributes:
        p_corrected: the difference's p-value, corrected for the number of comparisons; None where there is none.
    """

    a: str
    b: str
    place: Place
    limit_b: str
    mean_a: Mean
    mean_b: Mean
    difference: Difference
    p_corrected: float | None

    def is_below(self, points: float) -> bool:
        """Whether the difference is less than so many percentage points."""
        return 100 * self.difference.estimate < points


def mean_of(measured: Sequence[Measured]) -> Mean:
    """Over the seeds of the images, or over the rounds where there is one set of images."""
    values = list(by_seed(measured).values())
    unit = "rounds" if len(measured) == 1 else "seeds"
    return Mean(fmean(values), accuracy_interval(values), len(values), unit, fmean(each.ipc for each in measured))


def compare(sides: Sequence[Side]) -> list[Compared]:
    """Each side but the first against the first.

    Raises:
        ValueError: two of them have no place in common.
    """
    first, found = sides[0], []
    for side in sides[1:]:
        for place, other in _common(first, side):
            a, b = first.places[place], side.places[other]
            off = difference(by_seed(a), by_seed(b))
            found.append(Compared(first.name, side.name, place, other.limit, mean_of(a), mean_of(b), off, off.p))
    corrected = iter(holm([each.p_corrected for each in found if each.p_corrected is not None]))
    return [each if each.p_corrected is None else replace(each, p_corrected=next(corrected)) for each in found]


def _common(a: Side, b: Side) -> list[tuple[Place, Place]]:
    """The places of both, in order; single ones of the same data set and epochs go together whatever their limits."""
    pairs = [(place, place) for place in sorted(a.places) if place in b.places]
    alone_a, alone_b = _single(a), _single(b)
    pairs += [(alone_a[key], alone_b[key]) for key in sorted(alone_a) if alone_a[key] != alone_b.get(key, alone_a[key])]
    if pairs:
        return pairs
    raise ValueError(
        f"{a.name} and {b.name} have nothing in common to compare: {_list(a)} against {_list(b)}; judge them on the"
        " same data set, with the same epochs and limits"
    )


def _single(side: Side) -> dict[tuple[str, int], Place]:
    by_protocol: dict[tuple[str, int], list[Place]] = {}
    for place in side.places:
        by_protocol.setdefault((place.dataset, place.epochs), []).append(place)
    return {key: places[0] for key, places in by_protocol.items() if len(places) == 1}


def _list(side: Side) -> str:
    return "; ".join(f"{place.dataset}, {place.epochs:,} epochs, {place.limit}" for place in sorted(side.places))
