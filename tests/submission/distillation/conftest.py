"""A few digits, an expert of each age that learned them, and what they see."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evaluation.base.challenge import get_challenge
from evaluation.base.images import ImageSet, first_of_each
from evaluation.data.datasets import load_split
from submission.distillation.experts import Expert, experts_for
from submission.distillation.groups import feature_groups
from submission.distillation.targets import Target, targets_for
from submission.distillation.views import View

AGES = (0, 1, 3)
VIEWS = (View(), View("crop", (0.1, 0.8, 0.0)))


@pytest.fixture(scope="session")
def train() -> ImageSet:
    return first_of_each(load_split(get_challenge("digits"), "train", None), 15)


@pytest.fixture(scope="session")
def experts(train: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> list[Expert]:
    return experts_for(train, get_challenge("digits"), 1, AGES, 0, "cpu", tmp_path_factory.mktemp("experts"))


@pytest.fixture(scope="session")
def group_N(train: ImageSet, experts: list[Expert]) -> torch.Tensor:  # noqa: N802 - named as where it goes
    return feature_groups(train, get_challenge("digits"), experts[-1:], 3, 5, True, 0, "cpu")


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("targets")


@pytest.fixture(scope="session")
def targets(train: ImageSet, experts: list[Expert], group_N: torch.Tensor, bank: Path) -> list[Target]:
    return targets_for(train, get_challenge("digits"), experts, group_N, lambda expert: VIEWS, "cpu", bank)
