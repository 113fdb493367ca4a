"""Accuracy over time: what a run had on disk at each moment, and the area under the curve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from evaluation.base.challenge import get_challenge
from evaluation.base.images import ImageSet, NormalisedSet
from evaluation.judge.protocol import FULL_EPOCHS, FULL_ROUNDS
from evaluation.judge.score import Score
from harness.records.plausible import check_score
from harness.records.result_file import Part, ResultFile


class How(Part):
    """How every prefix was judged."""

    engine: str
    epochs: int
    rounds: int
    judge_seed: int

    @classmethod
    def of(cls, score: Score | None) -> How:
        """How `score` was judged; what the protocol says where there is none."""
        if score is None:
            return cls(engine="fast", epochs=FULL_EPOCHS, rounds=FULL_ROUNDS, judge_seed=0)
        return cls(engine=score.engine, epochs=score.epochs, rounds=len(score.rounds), judge_seed=score.judge_seed)


class AnytimePoint(Part):
    """The run as it was after `seconds`; `accuracy` is null where there was no image yet, which is worth chance."""

    seconds: float
    images: int
    ipc: float
    accuracy: Score | None

    def worth(self, chance: float) -> float:
        """The accuracy, a fraction."""
        return self.accuracy.mean if self.accuracy else chance


class Anytime(ResultFile):
    """`RUN/anytime.json`. Times are seconds since the clock's start; accuracies are fractions.

    `points` are in order of time; the last one is the whole run. `area` is the mean accuracy over the budget, null
    until every point is measured.
    """

    called: ClassVar[str] = "accuracy over time"

    dataset: str
    images_hash: str | None
    budget_s: float
    used_s: float
    first_image_s: float
    chance: float
    how: How
    points: list[AnytimePoint]
    area: float | None

    @property
    def preview(self) -> bool:
        return any(point.accuracy is not None and point.accuracy.preview for point in self.points)

    def check(self) -> None:
        """Raises ValueError, `where: what`, for what cannot be true."""
        super().check()
        challenge = get_challenge(self.dataset)
        if self.budget_s <= 0 or (self.area is not None and not self.points):
            raise ValueError("budget_s, points: an area needs a budget and points")
        for index, point in enumerate(self.points):
            if point.accuracy:
                check_score(f"points.{index}.accuracy", point.accuracy, challenge)

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """What `path` holds, None where there is no such file. Raises ValueError where it holds something else."""
        try:
            return cls.read(path)
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise ValueError(f"{error}; remove it to measure again") from None


def moments(at: Sequence[float] | None, points: int, used_s: float) -> tuple[float, ...]:
    """The seconds at which to judge, in order; the last is at least `used_s`, when the run was whole.

    Args:
        at: the moments asked for; None for `points` of them, evenly spread over the time used.
        used_s: when the last process of the generator was dead, or the budget if that came first.
    """
    if at is None:
        return (*(used_s * number / points for number in range(1, points)), used_s)
    asked = tuple(sorted(set(at)))
    return asked if asked[-1] >= used_s else (*asked, used_s)


def prefix(images: ImageSet | NormalisedSet, times_N: NDArray[np.float64], moment: float) -> ImageSet | NormalisedSet:
    """The images on disk by `moment`, in their order; `times_N`: float64 (N,), seconds at which each was written."""
    return images.take(np.flatnonzero(times_N <= moment))


def area(points: Sequence[tuple[float, float]], first_image_s: float, budget_s: float, chance: float) -> float:
    """Mean accuracy over the budget: the area under the accuracy's curve, divided by the budget.

    The curve is chance until the first image, straight lines between the `points` (seconds, accuracy; in order of time)
    from there, and level after the last. The budget is more than 0.
    """
    first = min(first_image_s, budget_s)
    knots = [(0.0, chance), (first, chance), *(point for point in points if point[0] > first)]
    seconds, accuracies = (np.array(column) for column in zip(*knots, strict=True))
    grid = np.append(seconds[seconds < budget_s], budget_s)
    return float(np.trapezoid(np.interp(grid, seconds, accuracies), grid) / budget_s)
