"""Learning within a time: what fits, the rate that falls with it, and the same again where the steps are counted."""

from __future__ import annotations

from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from evaluation.base.challenge import get_challenge
from evaluation.base.images import ImageSet
from submission.distillation import learn as module
from submission.distillation.learn import learn
from submission.distillation.optimise import Optimisation
from submission.distillation.recipe import Recipe
from submission.distillation.views import View

DIGITS = get_challenge("digits")
SMALL = Recipe(
    4, False, 1, 2, (0, 1, 2), groups=2, steps=3, stored_steps=0, stored_bytes=200, start_images=2, group_images=5
)


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[Optimisation]:
    """The optimisations that `learn` makes, as it makes them."""
    made: list[Optimisation] = []

    def noted(*asked: Any) -> Optimisation:
        made.append(prepared(*asked))
        return made[-1]

    prepared = module.prepared
    monkeypatch.setattr(module, "prepared", noted)
    return made


def test_counted_steps_give_the_same_again_with_all_networks(train: ImageSet, trainings: list[Optimisation]) -> None:
    (first, steps), (again, _) = (
        learn(train, DIGITS, SMALL, 0, "cpu", 0.0, all_networks=True, all_steps=True) for _ in range(2)
    )
    assert torch.equal(first, again) and first.shape == (10, 4, 3, 32, 32)
    assert steps == 3
    views = [(target.expert.network, target.expert.age, target.view == View()) for target in trainings[0].targets]
    assert views == [(network, age, plain) for network in range(2) for age in SMALL.ages for plain in (True, False)]
    moved = trainings[0].levels().flatten(2)
    for label in range(10):
        distances = torch.cdist(first[label].flatten(1), moved[label])
        assert distances.argmin(1).unique().numel() == 4 and distances.amin(1).max() < 1, "in another order at most"


def test_without_time_there_are_an_epoch_a_target_and_a_step(train: ImageSet, trainings: list[Optimisation]) -> None:
    levels, steps = learn(train, DIGITS, SMALL, 0, "cpu", 0.0)
    assert steps == 1 and levels.isfinite().all()
    (target,) = trainings[0].targets
    assert (target.expert.network, target.expert.age, target.view) == (0, 1, View())


def test_steps_fill_the_time_and_the_rate_falls_to_nothing_at_its_end(
    train: ImageSet, trainings: list[Optimisation], monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = count()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: float(next(ticks))))
    _, steps = learn(train, DIGITS, SMALL, 0, "cpu", 100.0)
    assert 60 < steps <= 100, "a tick a step, after some for the experts and targets"
    assert 99 <= next(ticks) <= 102
    assert trainings[0].rate < 0.01 * SMALL.rate
    assert {(t.expert.network, t.expert.age) for t in trainings[0].targets} == {
        (n, a) for n in (0, 1) for a in (0, 1, 2)
    }
