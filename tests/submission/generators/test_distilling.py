"""`distilling`: learned while it loads, within the time that is left; the same again where its steps are counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from evaluation.base.challenge import challenges, get_challenge
from evaluation.base.images import first_of_each
from evaluation.data.datasets import load_split
from submission.contract.generator import LoadContext
from submission.distillation.recipe import RECIPES
from submission.generators.distilling import Distilling, recipe_for

DIGITS = get_challenge("digits")


@pytest.fixture(autouse=True)
def young_experts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "digits", replace(RECIPES["digits"], networks=1, ages=(0, 1)))


@pytest.fixture(scope="module")
def training_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("digits") / "training.npz"
    few = first_of_each(load_split(DIGITS, "train", None), 60)
    np.savez(path, images=few.images, labels=few.labels)
    return path


def images_of(training_images: Path, seconds_left: float, **settings: str) -> torch.Tensor:
    generator = Distilling.load(
        LoadContext(DIGITS, "cpu", None, training_images, settings=settings, seconds_left=seconds_left)
    )
    labels, indices = torch.arange(10).repeat(5), torch.arange(50) // 10
    return generator.generate_numbered(labels, indices, torch.arange(50), 1)


def test_counted_steps_make_the_same_images_however_little_time_is_left(training_images: Path) -> None:
    first, again = (images_of(training_images, left, prototypes="5", networks="1", updates="2") for left in (9.0, 0.0))
    assert torch.equal(first, again) and first.shape == (50, 3, 32, 32)
    assert len(first.flatten(1).unique(dim=0)) == 50
    assert not torch.equal(first, images_of(training_images, 0.0, prototypes="5", networks="1", updates="3"))


def test_no_time_is_enough_for_images(training_images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = images_of(training_images, 0.0, prototypes="5")
    assert len(made.flatten(1).unique(dim=0)) == 50
    assert "learned 5 prototypes a class in 1 steps" in capsys.readouterr().out


@pytest.mark.parametrize("name", challenges())
def test_a_run_stops_where_every_prototype_was_shown(name: str) -> None:
    recipe = recipe_for(get_challenge(name), 0, 0, 0)
    assert Distilling.info.useful_ipc[name] == recipe.prototypes == RECIPES[name].prototypes
    few = recipe_for(get_challenge(name), 3, 2, 7)
    assert few.groups <= few.prototypes == 3 and few.steps == 7 and few.networks == 2 and few.stored_steps == 0


def test_it_takes_no_weights_and_says_what_it_can_be_set_to() -> None:
    with pytest.raises(ValueError, match="takes no weights"):
        Distilling.find_weights(DIGITS, "some")
    with pytest.raises(ValueError, match=r"learning must be a number from 0.05 to 0.95, not '1'"):
        Distilling.resolve_settings({"learning": "1"})
