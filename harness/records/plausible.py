"""What cannot be true of a result, whoever wrote it: numbers out of range, labels of no class, images that are none.

Each check raises ValueError, `where: what`. Whether a result is honest is another question, see `harness/leaderboard`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import isfinite
from typing import Any, TypeGuard

from evaluation.audits.audit import Audit
from evaluation.base.challenge import Challenge
from evaluation.base.untrusted import printable
from evaluation.judge.score import Score

# beyond these no count, time or speed of ours lies; a seed is a whole number of 64 bits
_LARGEST, _LARGEST_WHOLE = 1e15, 2**64
# keys under which a number may be negative
_SIGNED = {"seed", "judge_seed", "settings", "profile", "audits", "plan", "killed_after_s", "task"}
_ROUNDING = 0.01  # images per class


def check_numbers(told: Any, where: str = "", signed: bool = False) -> None:
    """Every number in `told`, a tree of dictionaries and lists, is finite, and negative only where one may be."""
    if isinstance(told, Mapping):
        for name, value in told.items():
            check_numbers(value, f"{where}.{name}" if where else str(name), signed or name in _SIGNED)
    elif isinstance(told, list | tuple):
        for index, value in enumerate(told):
            check_numbers(value, f"{where}.{index}", signed)
    elif isinstance(told, int | float) and not isinstance(told, bool):
        largest = _LARGEST_WHOLE if isinstance(told, int) else _LARGEST
        if not (isfinite(told) if isinstance(told, float) else True) or abs(told) > largest:
            raise ValueError(f"{printable(where)}: a number beyond all that is measured")
        if told < 0 and not signed:
            raise ValueError(f"{printable(where)}: {told:g} is less than 0")


def check_score(where: str, score: Score, challenge: Challenge) -> None:
    """Accuracies are fractions, of as many classes as the challenge has, in at least one round."""
    if not score.rounds or score.epochs < 1:
        raise ValueError(f"{where}: {len(score.rounds)} rounds of {score.epochs} epochs are no judgement")
    if len(score.per_class) != challenge.classes:
        raise ValueError(
            f"{where}.per_class: accuracies of {len(score.per_class)} classes, not of the {challenge.classes} of"
            f" {challenge.name}"
        )
    known = [value for value in score.per_class if value is not None]
    for name, values in (("mean", (score.mean,)), ("rounds", score.rounds), ("per_class", known)):
        if not all(0 <= value <= 1 for value in values):
            raise ValueError(f"{where}.{name}: accuracies are not from 0 to 1")
    if score.ci95 is not None and not 0 <= score.ci95[0] <= score.mean <= score.ci95[1] <= 1:
        raise ValueError(f"{where}.ci95: {score.ci95[0]:g} to {score.ci95[1]:g} does not hold the mean, {score.mean:g}")


def check_ipc(mean: float, fewest: int, most: int) -> None:
    """The mean lies between the classes with the fewest and the most images."""
    if not fewest - _ROUNDING <= mean <= most + _ROUNDING:
        raise ValueError(f"ipc.mean: {mean:g} images per class do not lie between {fewest} and {most}")


def check_times(started_at: str, started: float, ended: float) -> None:
    """A clock ends after it has started, at a date."""
    if ended < started:
        raise ValueError(f"clock.ended: {ended:g} s is before {started:g} s, when it started")
    try:
        datetime.fromisoformat(started_at)
    except ValueError:
        raise ValueError(f"clock.started_at: {printable(started_at)!r} is no date and time") from None


def check_audits(audits: Sequence[Audit], challenge: Challenge, images: int) -> None:
    """What the audits point at is there: labels are of the challenge's classes, images among those of the run."""
    for audit in audits:
        where = f"audits.{printable(audit.name)}"
        for name, lowest in (("seen", -1), ("order", 0)):  # -1: a class without images
            labels = audit.numbers.get(name, [0] * challenge.classes)
            if not _are_from(labels, lowest, challenge.classes):
                raise ValueError(f"{where}.{name}: not labels from {lowest} to {challenge.classes - 1}")
            if len(labels) != challenge.classes:
                raise ValueError(f"{where}.{name}: {len(labels)} labels, not {challenge.classes}")
        for name in ("copied", "closest", "repeats", "repeated"):
            if not _are_from(audit.numbers.get(name, []), 0, images):
                raise ValueError(f"{where}.{name}: not the numbers of images from 0 to {images - 1}")


def _are_from(found: object, lowest: int, end: int) -> TypeGuard[list[int]]:
    return isinstance(found, list) and all(isinstance(each, int) and lowest <= each < end for each in found)
