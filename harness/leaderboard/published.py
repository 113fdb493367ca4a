"""Published results as rows of their own: as the papers report them, not verified, not ranked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import hypot
from statistics import fmean

from harness.leaderboard.rows import SCORE
from harness.report.published import PUBLISHED, Published
from harness.run.options import CHALLENGES


@dataclass(frozen=True)
class PublishedRow:
    """A published result in a view.

    Attributes:
        ipc: by data set, in the order of `CHALLENGES` for a score.
        std: standard deviation as published; of a score that of the mean of two; None where none is given.
        timed: made within the challenge's time limit.
    """

    view: str
    method: str
    place: str
    ipc: tuple[float, ...]
    accuracy: float
    std: float | None
    approximate: bool
    paper: str | None
    timed: bool


def published_rows(views: Iterable[str]) -> list[PublishedRow]:
    """Those of the views, the best first; what was made without a time limit behind the others."""
    rows = [row for view in views for row in (_scores() if view == SCORE else _of(view))]
    return sorted(rows, key=lambda row: (not row.timed, -row.accuracy))


def _of(dataset: str) -> list[PublishedRow]:
    return [_row(dataset, [entry]) for entry in PUBLISHED[dataset]]


def _scores() -> list[PublishedRow]:
    """Of the methods that have both data sets."""
    by_method = [{entry.method: entry for entry in PUBLISHED[dataset]} for dataset in CHALLENGES]
    shared = [method for method in by_method[0] if all(method in of for of in by_method)]
    return [_row(SCORE, [of[method] for of in by_method]) for method in shared]


def _row(view: str, parts: list[Published]) -> PublishedRow:
    first, spreads = parts[0], [part.std for part in parts]
    known = [std for std in spreads if std is not None]
    return PublishedRow(
        view,
        first.method,
        first.place,
        tuple(part.ipc for part in parts),
        fmean(part.accuracy for part in parts),
        hypot(*known) / len(parts) if len(known) == len(parts) else None,
        any(part.approximate for part in parts),
        first.paper,
        all(part.timed for part in parts),
    )
