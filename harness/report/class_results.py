"""Accuracy by class as the report shows it: the best, the worst, and by superclass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from evaluation.base.challenge import Challenge, superclasses

ENDS = 10  # classes in each of the lists of the best and the worst
MAX_LISTED = 2 * ENDS  # up to this many classes are all listed

Row = tuple[str, float]


@dataclass(frozen=True)
class ClassLists:
    """Names and accuracies, fractions, from the best to the worst; `all` only where there are few classes."""

    all: list[Row]
    best: list[Row]
    worst: list[Row]


@dataclass(frozen=True)
class Group:
    """A superclass with its classes from the best to the worst; None for a class without test images."""

    name: str
    mean: float
    classes: list[tuple[str, float | None]]


def class_lists(per_class: Sequence[float | None], challenge: Challenge) -> ClassLists:
    """The classes that have test images."""
    rows = [(_words(name), value) for name, value in zip(challenge.class_names, per_class, strict=True)]
    ordered = sorted(((name, value) for name, value in rows if value is not None), key=lambda row: -row[1])
    return ClassLists(ordered if challenge.classes <= MAX_LISTED else [], ordered[:ENDS], ordered[-ENDS:][::-1])


def groups(per_class: Sequence[float | None], challenge: Challenge) -> list[Group]:
    """The superclasses from the best to the worst; empty where the data set has none."""
    found = []
    for name, labels in superclasses(challenge).items():
        rows = sorted(((_words(challenge.class_names[label]), per_class[label]) for label in labels), key=_worth)
        known = [value for _, value in rows if value is not None]
        if known:
            found.append(Group(_words(name), fmean(known), rows))
    return sorted(found, key=lambda group: -group.mean)


def _worth(row: tuple[str, float | None]) -> float:
    return 1.0 if row[1] is None else -row[1]


def _words(name: str) -> str:
    return name.replace("_", " ")
