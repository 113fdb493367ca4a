"""The comparison of min-max training with training without its losses, much smaller than the published one."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.minmax import Scale, against_without, compare
from evaluation.base.challenge import get_challenge
from evaluation.base.images import first_of_each
from evaluation.data.datasets import load_split
from submission.training.common.held_out import split_held_out
from tests.real_data import real_data

SMALL = Scale(layers=2, width=32, autoencoder_steps=40, base_steps=120, steps=200, rate=1e-3, made=2, made_steps=3)
ARMS = {"without": (0.0, 0.0), "real": (0.05, 0.0), "generated": (0.0, 0.05)}


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["digits", "cifar100"])
def test_losses_fall_and_similarities_move_as_they_should(dataset: str) -> None:
    challenge = get_challenge(dataset)
    data = None if dataset == "digits" else real_data("cifar-100-python")
    per_class = 40 if dataset == "digits" else 8
    train, held_out = (first_of_each(part, per_class) for part in split_held_out(load_split(challenge, "train", data)))
    rows = compare(challenge, train, held_out, SMALL, 0, ARMS)
    by_arm: dict[str, dict[str, Any]] = {row["arm"]: row for row in rows}
    base = by_arm["base"]
    assert base["last_diffusion_loss"] < 0.6 * base["first_diffusion_loss"]
    for row in rows[1:]:
        assert row["last_diffusion_loss"] < base["last_diffusion_loss"]
    differences = against_without(rows)
    for kind in ("held_out", "last"):
        assert differences["real"][f"{kind}_similarity_real"]["mean"] > 0
        assert differences["generated"][f"{kind}_similarity_generated"]["mean"] < 0
