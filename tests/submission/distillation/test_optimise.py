"""The steps of prototypes: nearer to the real images, resumed bit-equal, through the storage at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from evaluation.base.challenge import get_challenge
from evaluation.base.images import ImageSet
from submission.distillation.groups import start_means
from submission.distillation.optimise import Optimisation
from submission.distillation.recipe import Recipe
from submission.distillation.targets import Target
from submission.training.common.checkpoint import load_checkpoint, save_checkpoint
from tests.submission.distillation.conftest import AGES

RECIPE = Recipe(6, True, 1, 1, AGES, groups=3, steps=40, stored_steps=8, stored_bytes=200, label_age=3)
Make = Callable[..., Optimisation]


@pytest.fixture
def made(train: ImageSet, group_N: torch.Tensor, targets: list[Target]) -> Iterator[Make]:
    running: list[Optimisation] = []

    def make(recipe: Recipe = RECIPE, of: list[Target] | None = None) -> Optimisation:
        start_CK3HW, group_CK = start_means(train, group_N, recipe.prototypes, recipe.start_images, 0, "cpu")
        chosen = targets if of is None else of
        running.append(Optimisation(start_CK3HW, group_CK, chosen, recipe, get_challenge("digits"), 0, "cpu"))
        return running[-1]

    yield make
    for training in running:
        training.close()


def test_what_experts_see_comes_nearer_to_the_real_images(made: Make) -> None:
    training = made()
    told = []
    for _ in range(4):
        for _ in range(10):
            training.step()
        told.append(training.measured())
    assert told[-1]["apart"] < 0.5 * told[0]["apart"]
    assert told[-1]["groups_apart"] < 0.7 * told[0]["groups_apart"]
    assert training.steps_done == 40 and training.images == training.total == 40 * 60
    assert training.rate == pytest.approx(0, abs=1e-12)
    levels = training.levels()
    assert levels.min() >= 0 and levels.max() <= 255


@pytest.mark.parametrize("stop", [3, 7], ids=["before", "after the storage is fitted"])
def test_a_killed_training_goes_on_bit_equal(made: Make, tmp_path: Path, stop: int) -> None:
    recipe = replace(RECIPE, steps=10, stored_steps=4)
    whole, first, second = (made(recipe) for _ in range(3))
    losses = [float(whole.step()) for _ in range(10)]
    again = [float(first.step()) for _ in range(stop)]
    save_checkpoint(tmp_path / "checkpoint.pt", first.state())
    second.restore(load_checkpoint(tmp_path / "checkpoint.pt", "cpu"))
    again += [float(second.step()) for _ in range(10 - stop)]
    assert again == losses
    assert torch.equal(second.x_CK3HW, whole.x_CK3HW)
    assert torch.equal(second.stored().codes_CK3HW, whole.stored().codes_CK3HW)


def test_what_is_stored_is_what_the_experts_were_shown_last(made: Make) -> None:
    training = made(replace(RECIPE, steps=6, stored_steps=3))
    fitted = []
    for _ in range(6):
        training.step()
        fitted.append(training.storage_step is not None)
    assert fitted == [False] * 3 + [True] * 3
    assert torch.equal(training.stored().decode().clamp(0, 255), training.levels())


def test_only_experts_that_have_learned_tell_labels(made: Make, targets: list[Target]) -> None:
    for target in targets:
        without, with_labels = made(replace(RECIPE, label_weight=0.0), [target]), made(RECIPE, [target])
        same = float(without.step()) == float(with_labels.step())
        assert same == (target.expert.age < RECIPE.label_age)


def test_prototypes_without_groups_are_held_against_the_class_alone(targets: list[Target]) -> None:
    one = [replace(target, group_means_CGF=target.class_means_CF[:, None].bfloat16()) for target in targets]
    recipe = replace(RECIPE, groups=1, label_weight=0.0)
    start = torch.rand(10, 6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    training = Optimisation(
        start, torch.zeros(10, 6, dtype=torch.int64), one, recipe, get_challenge("digits"), 0, "cpu"
    )
    loss = float(training.step())
    assert loss == pytest.approx(training.measured()["apart"], rel=1e-5)
    training.close()
