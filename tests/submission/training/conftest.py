"""A command that trains on few images, where what is tested is the command and not what it learns."""

from __future__ import annotations

import pytest

from evaluation.base.images import ImageSet, first_of_each
from evaluation.data.datasets import load_split
from submission.training.distilled import command as distilled


@pytest.fixture
def few_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """`distilled` finds twenty training images of each class."""

    def few(*asked: object) -> ImageSet:
        return first_of_each(load_split(*asked), 20)  # type: ignore[call-overload]

    monkeypatch.setattr(distilled, "load_split", few)
