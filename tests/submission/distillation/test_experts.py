"""Experts: ages in one file a network, resumed bit-equal, older ones and more networks on request."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from evaluation.base.challenge import get_challenge
from evaluation.base.images import ImageSet
from submission.distillation.experts import Expert, experts_for
from tests.submission.distillation.conftest import AGES


def equal(some: list[Expert], others: list[Expert]) -> bool:
    return all(
        (a.network, a.age) == (b.network, b.age)
        and all(torch.equal(weight, b.weights[name]) for name, weight in a.weights.items())
        for a, b in zip(some, others, strict=True)
    )


def trained(
    train: ImageSet,
    folder: Path,
    count: int,
    ages: tuple[int, ...],
    told: Callable[[float, str], None] = lambda fraction, text: None,
) -> list[Expert]:
    return experts_for(train, get_challenge("digits"), count, ages, 0, "cpu", folder, told)


def test_an_interruption_costs_the_passes_since_the_last_age(
    train: ImageSet, experts: list[Expert], tmp_path: Path
) -> None:
    class InterruptedTrainingError(Exception):
        pass

    def stop(fraction: float, text: str) -> None:
        if fraction > 0.5:
            raise InterruptedTrainingError

    told: list[float] = []
    with pytest.raises(InterruptedTrainingError):
        trained(train, tmp_path, 1, (0, 1, 3), stop)
    resumed = trained(train, tmp_path, 1, (0, 1, 3), lambda fraction, text: told.append(fraction))
    assert told == [pytest.approx(2 / 3), 1.0], "the first epoch was there"
    assert equal(resumed, experts)
    assert [expert.age for expert in resumed] == [0, 1, 3]
    assert any((resumed[0].weights[name] != resumed[2].weights[name]).any() for name in resumed[0].weights)


def test_older_ages_and_more_networks_build_on_what_is_there(
    train: ImageSet, experts: list[Expert], tmp_path: Path
) -> None:
    trained(train, tmp_path, 1, (0, 1))
    epochs: list[float] = []
    more = trained(train, tmp_path, 2, (0, 1, 3), lambda fraction, text: epochs.append(6 * fraction))
    assert epochs == pytest.approx([2, 3, 4, 5, 6])
    assert equal(more[:3], experts)
    assert not equal(more[3:], [Expert(1, e.age, e.weights) for e in experts]), "each network has a start of its own"
    younger = trained(train, tmp_path, 1, (1,), lambda fraction, text: epochs.append(0))
    assert len(epochs) == 5, "nothing was trained again"
    assert equal(younger, experts[1:2])
    between = trained(train, tmp_path, 1, (2,))
    assert [expert.age for expert in between] == [2]


def test_other_images_make_other_experts(train: ImageSet, tmp_path: Path) -> None:
    first = trained(train, tmp_path, 1, (1,))
    fewer = ImageSet(train.images[10:], train.labels[10:])
    assert not equal(trained(fewer, tmp_path, 1, (1,)), first)


def test_within_a_time_its_progress_is_that_of_the_time(train: ImageSet, experts: list[Expert], tmp_path: Path) -> None:
    told: list[float] = []
    gone = iter((0.6, 1.2))
    within = experts_for(
        train,
        get_challenge("digits"),
        8,
        AGES,
        0,
        "cpu",
        tmp_path,
        lambda fraction, text: told.append(fraction),
        lambda: next(gone),
    )
    assert told == [0.6, 1.2], "not two of the 24 epochs of all networks"
    assert equal(within, experts[:2])
