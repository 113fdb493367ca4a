"""Consistency tuning: the two noise levels, the loss between them, and the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from evaluation.base.challenge import get_challenge
from evaluation.data.datasets import load_split
from submission.contract.generator import LoadContext
from submission.contract.weights import read_header
from submission.diffusion.networks import unet
from submission.diffusion.networks.denoiser import AUGMENT_CONDITION
from submission.diffusion.networks.unet import PRESETS, UNet, UNetConfig
from submission.diffusion.samplers import SIGMA_MIN
from submission.generators.native import Native
from submission.training.__main__ import main
from submission.training.common.checkpoint import load_checkpoint, save_checkpoint
from submission.training.native import distill, model_selection
from submission.training.native.consistency import ConsistencyLoss, ConsistencyTraining, lower_level, stage_at
from submission.training.native.diffusion import DeviceData
from submission.training.native.recipes import DISTILL_RECIPES

DIGITS = get_challenge("digits")
TINY = UNetConfig(size=32, patch=4, widths=(16, 24), blocks=1, attention=(4,))
SIGMAS = st.floats(SIGMA_MIN, 80.0)


@given(sigma=SIGMAS, stage=st.integers(1, 10))
def test_the_lower_level_is_lower_and_nears_the_upper_one_with_each_stage(sigma: float, stage: int) -> None:
    level, next_level = (float(lower_level(torch.tensor(sigma, dtype=torch.float64), s)) for s in (stage, stage + 1))
    assert 0 <= level < sigma
    assert level <= next_level
    if level > 0:
        assert sigma - next_level == pytest.approx((sigma - level) / 2)


def test_tuning_begins_as_diffusion_training_at_little_noise() -> None:
    """Steps are five times as wide at no noise as at much of it: at 2**-1 and 2**-2 the lower level is 0 there."""
    low = torch.tensor([0.01, 0.3])
    assert (lower_level(low, 1) == 0).all() and (lower_level(low, 2) == 0).all()
    assert (lower_level(low, 3) > 0).all()
    assert float(lower_level(torch.tensor(80.0), 3)) == pytest.approx(70.0)


def test_stages_are_of_equal_length() -> None:
    assert [stage_at(share, (3, 5)) for share in (0, 0.33, 0.34, 0.66, 0.67, 0.99, 1.0)] == [3, 3, 4, 4, 5, 5, 5]


class Known:
    """A function in a denoiser's place."""

    sigma_data = 0.5

    def __init__(self, answer: Callable[[Tensor, Tensor, Tensor, None], Tensor]) -> None:
        self.answer = answer

    def __call__(self, *inputs: Any) -> Tensor:
        return self.answer(*inputs)


def loss_of(answer: Any, stage: int, images_B3HW: Tensor | None = None) -> Tensor:
    images = torch.rand(64, 3, 4, 4) if images_B3HW is None else images_B3HW
    denoiser: Any = Known(answer)
    return ConsistencyLoss(-1.1, 2.0)(denoiser, images, torch.zeros(len(images), dtype=torch.int64), None, stage)


def test_a_consistent_function_has_no_loss() -> None:
    """All images alike: the flow ends there from everywhere."""
    images = torch.full((64, 3, 4, 4), 0.3)
    assert float(loss_of(lambda x, sigma, labels, augment: images, 6, images).max()) == pytest.approx(0, abs=1e-6)


def test_the_mean_behind_the_noise_has_a_loss() -> None:
    """The diffusion model itself: exact for Gaussian data, but no end of any flow."""
    images = 0.5 * torch.randn(512, 3, 4, 4, generator=torch.Generator().manual_seed(0))

    def mean(x: Tensor, sigma: Tensor, labels: Tensor, augment: None) -> Tensor:
        return x * (0.25 / (0.25 + sigma**2))[:, None, None, None]

    def end(x: Tensor, sigma: Tensor, labels: Tensor, augment: None) -> Tensor:
        return x * (0.5 / (0.25 + sigma**2).sqrt())[:, None, None, None]

    torch.manual_seed(0)
    of_mean = float(loss_of(mean, 8, images).mean())
    torch.manual_seed(0)
    assert float(loss_of(end, 8, images).mean()) < of_mean


def test_both_answers_have_the_same_dropout() -> None:
    def answer(x: Tensor, sigma: Tensor, labels: Tensor, augment: None) -> Tensor:
        return torch.nn.functional.dropout(torch.ones_like(x), 0.5)

    assert float(loss_of(answer, 8).max()) == 0


def test_only_the_answer_at_the_upper_level_learns() -> None:
    weight = torch.ones((), requires_grad=True)
    asked: list[bool] = []

    def answer(x: Tensor, sigma: Tensor, labels: Tensor, augment: None) -> Tensor:
        made = weight * x
        asked.append(made.requires_grad)
        return made

    loss_of(answer, 4).mean().backward()
    assert asked == [False, True]


def tiny_training() -> ConsistencyTraining:
    torch.manual_seed(0)
    network = UNet(TINY, 10, AUGMENT_CONDITION, dropout=0.1)
    recipe = replace(DISTILL_RECIPES["digits"], batch=32, warmup=64, images=320)
    return ConsistencyTraining(
        network, recipe, DeviceData.put(load_split(DIGITS, "train", None), "cpu"), 0, torch.float32
    )


def test_every_preset_has_a_recipe_with_stages() -> None:
    assert set(DISTILL_RECIPES) == set(PRESETS)
    assert all(recipe.stages and recipe.stages[0] < recipe.stages[1] for recipe in DISTILL_RECIPES.values())


def test_tuning_goes_on_bit_equal(tmp_path: Path) -> None:
    straight, broken = tiny_training(), tiny_training()
    for _ in range(6):
        straight.step()
    for _ in range(3):
        broken.step()
    save_checkpoint(tmp_path / "checkpoint.pt", broken.state())
    resumed = tiny_training()
    resumed.restore(load_checkpoint(tmp_path / "checkpoint.pt", "cpu"))
    torch.rand(17)
    for _ in range(3):
        resumed.step()
    for a, b in zip(straight.parameters, resumed.parameters, strict=True):
        assert torch.equal(a, b)


@pytest.fixture
def teacher(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A tiny network after four steps of diffusion training."""
    monkeypatch.setitem(unet.PRESETS, "digits", ("digits", TINY))
    monkeypatch.setattr(model_selection, "CANDIDATES", (("dpm2m", 2),))
    monkeypatch.setattr(distill, "MIDDLES", (0.8, 1.6))
    options = ["native", "--dataset", "digits", "--batch", "16", "--images", "64", "--out", str(tmp_path / "teacher")]
    assert main(options) == 0
    return Path(capsys.readouterr().out.strip())


def test_the_command_makes_a_consistency_model_and_goes_on_from_a_checkpoint(
    teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "tuned"
    options = ["distill", "--dataset", "digits", "--out", str(out)]
    small = ["--batch", "16", "--images", "64"]
    assert main([*options, *small, "--weights", str(teacher), "--minutes", "0"]) == 0
    capsys.readouterr()
    assert main([*options, "--resume", "--images", "64"]) == 0
    weights = Path(capsys.readouterr().out.strip())
    model = read_header(weights).model
    assert model["solver"] == "consistency" and model["steps"] in (1, 2) and model["middle"] in (0.8, 1.6)
    assert model["images_seen"] == 64 and model["distilled_images"] == 64
    assert len(json.loads((out / "choice.json").read_text())["candidates"]) == 9
    native = Native.load(LoadContext(DIGITS, "cpu", weights))
    assert native.generate(torch.arange(10), torch.arange(10), Native.default_steps(weights)).shape == (10, 3, 32, 32)
    assert list((out / "samples").glob("*.png"))

    def told(*options: str) -> str:
        assert main(list(options)) == 2
        return capsys.readouterr().err

    assert "a consistency model already" in told(*options[:3], "--weights", str(weights), "--out", str(tmp_path / "a"))
    assert "holds a consistency model" in told(
        "native", "--dataset", "digits", "--from", str(weights), "--out", str(tmp_path / "b")
    )
    assert "is of the command 'distill'" in told("native", "--dataset", "digits", "--out", str(out), "--resume")


def test_weights_of_no_known_preset_are_told(
    teacher: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(distill.DISTILL_RECIPES, "digits")
    assert main(["distill", "--dataset", "digits", "--weights", str(teacher), "--out", str(tmp_path / "tuned")]) == 2
    assert "which no recipe here fits" in capsys.readouterr().err
    assert not (tmp_path / "tuned").exists()
