"""Every recipe fits on a card of 24 GB, by one step at its full size on tensors without memory."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor

from evaluation.base.challenge import challenges, get_challenge
from evaluation.judge.convnet import seeded_convnet
from evaluation.judge.norm_relu_pool import plain_norm_relu_pool
from submission.diffusion.networks.unet import PRESETS
from submission.diffusion.pixel_model import build_network
from submission.distillation import optimise
from submission.distillation.experts import Expert
from submission.distillation.optimise import Optimisation
from submission.distillation.recipe import RECIPES as DISTILLED
from submission.distillation.targets import Target, summed
from submission.distillation.views import View
from submission.training.minmax import training as minmax
from submission.training.minmax.latents import Latents
from submission.training.native.diffusion import DeviceData, DiffusionTraining
from submission.training.native.recipes import RECIPES
from tests.device_traffic import CARD
from tests.live_bytes import LiveBytes

MOST = 20e9


def on_card(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device=CARD)


def weights_of(name: str) -> dict[str, Tensor]:
    challenge = get_challenge(name)
    network = seeded_convnet(challenge.classes, challenge.size, 0)
    return {key: weight.detach().to(CARD) for key, weight in network.named_parameters()}


@pytest.fixture(autouse=True)
def as_on_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is chosen by the type of device; too few steps to compile the norm."""
    monkeypatch.setattr(optimise, "fastest_precision", lambda _: torch.bfloat16)
    monkeypatch.setattr(optimise, "choose_norm_relu_pool", lambda *_: plain_norm_relu_pool)


def distilled_training(name: str) -> Optimisation:
    challenge = get_challenge(name)
    recipe = replace(DISTILLED[name], stored_steps=0)
    classes, seen = challenge.classes, 128 * (challenge.size // 8) ** 2
    means = on_card(classes, recipe.groups, seen, dtype=torch.bfloat16)
    expert = Expert(0, max(recipe.ages), weights_of(name))
    target = Target(expert, View(), on_card(classes, seen), 1.0, means, 1.0)
    start = on_card(classes, recipe.prototypes, 3, challenge.size, challenge.size)
    groups = torch.zeros(classes, recipe.prototypes, dtype=torch.int64)
    return Optimisation(start, groups, [target], recipe, challenge, 0, CARD.type)


@pytest.mark.parametrize("name", challenges())
def test_a_step_of_distilled_fits_on_a_card(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with LiveBytes() as live:
        distilled_training(name).step()
    assert live.peak < MOST
    if name != "digits":  # and would not, or hardly, all at once: that is what the parts are for
        monkeypatch.setattr(optimise, "_IMAGES_ON_A_CARD", 10**9)
        with LiveBytes() as whole:
            distilled_training(name).step()
        assert whole.peak > 1.3 * live.peak


@pytest.mark.slow
@pytest.mark.parametrize("preset", [name for name in RECIPES if not name.endswith("-cpu")])
def test_a_step_of_native_fits_on_a_card(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        DiffusionTraining, "build_optimiser", lambda self: torch.optim.Adam(self.parameters, foreach=True)
    )
    name, shape = PRESETS[preset]
    challenge = get_challenge(name)
    network = build_network(vars(shape), challenge, RECIPES[preset].dropout).to(CARD)
    images = on_card(100_000, 3, challenge.size, challenge.size, dtype=torch.uint8)
    data = DeviceData(images, on_card(100_000, dtype=torch.int64))
    with LiveBytes() as live:
        DiffusionTraining(network, RECIPES[preset], data, 0, torch.bfloat16).step()
    assert live.peak < MOST


@pytest.mark.slow
@pytest.mark.parametrize("preset", minmax.PRESETS)
def test_a_step_of_minmax_fits_on_a_card(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """DiT-XL/2, in float32 throughout, with the optimiser that a card gets."""
    from diffusers import DiTTransformer2DModel

    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    monkeypatch.setattr(torch.optim, "Adam", partial(torch.optim.Adam, foreach=True))
    with CARD:
        transformer = DiTTransformer2DModel(
            num_attention_heads=16, attention_head_dim=72, in_channels=4, out_channels=8, num_layers=28,
            sample_size=32, num_embeds_ada_norm=200,
        )  # fmt: skip
    data = Latents(torch.zeros(200, 4, 32, 32, dtype=torch.float16), [0] * 200)
    with LiveBytes() as live:
        minmax.MinMaxTraining(transformer, torch.ones(1000), minmax.PRESETS[preset], data, 0).step()
    assert live.peak < MOST


def test_what_is_counted_is_what_lives() -> None:
    with LiveBytes() as live:
        kept = on_card(1000)
        for _ in range(3):
            on_card(500).add_(1)
        view = kept.view(10, 100)[1]
    assert live.peak == 4 * 1500
    del view


def test_sums_of_groups_are_those_of_their_members() -> None:
    seen, groups = torch.randn(20, 5), torch.arange(20) % 3
    expected = torch.zeros(4, 5).index_add_(0, groups, seen)
    torch.testing.assert_close(summed(seen, groups, 4), expected)
