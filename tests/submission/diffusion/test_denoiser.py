"""Preconditioning and loss: the identities that define them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from submission.diffusion.networks.denoiser import AUGMENT_CONDITION, Denoiser, Loss, precondition
from submission.diffusion.networks.unet import UNet, UNetConfig

SIGMAS = st.floats(1e-3, 1e3)


@given(sigma=SIGMAS, sigma_data=st.floats(0.1, 2.0))
def test_input_and_target_have_unit_variance(sigma: float, sigma_data: float) -> None:
    """Equations 114 to 131 of arXiv 2206.00364: what the network sees and what it should answer."""
    c = precondition(torch.tensor(sigma, dtype=torch.float64), sigma_data)
    assert float(c.into**2 * (sigma_data**2 + sigma**2)) == pytest.approx(1)
    # The target is (y - c_skip (y + n)) / c_out with y and n independent.
    variance = ((1 - c.skip) ** 2 * sigma_data**2 + c.skip**2 * sigma**2) / c.out**2
    assert float(variance) == pytest.approx(1)
    # c_skip is the one that makes c_out, and with it the network's errors, smallest.
    assert float(c.skip) == pytest.approx(sigma_data**2 / (sigma**2 + sigma_data**2))


def untrained() -> Denoiser:
    torch.manual_seed(0)
    return Denoiser(UNet(UNetConfig(16, 2, (16, 32), 1), 3, AUGMENT_CONDITION))


def test_an_untrained_denoiser_is_the_best_linear_one() -> None:
    """The untrained network answers zero, so D = c_skip x: the image at no noise, the mean image at much."""
    denoiser, x, labels = untrained(), torch.randn(2, 3, 16, 16), torch.tensor([0, 1])
    assert torch.allclose(denoiser(x, torch.full((2,), 1e-4), labels), x, atol=1e-3)
    assert denoiser(x, torch.full((2,), 1e4), labels).abs().max() < 1e-3


def test_the_loss_of_an_untrained_network_is_one_at_data_of_the_stated_spread() -> None:
    images = 0.5 * torch.randn(512, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    loss_B = Loss()(untrained(), images, torch.zeros(512, dtype=torch.int64))
    assert loss_B.shape == (512,)
    assert float(loss_B.detach().mean()) == pytest.approx(1, rel=0.05)


def test_label_dropout_takes_the_stated_share_to_the_null_class() -> None:
    seen: list[torch.Tensor] = []
    denoiser = untrained()
    denoiser.network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[2]))
    torch.manual_seed(0)
    Loss(label_dropout=0.1)(denoiser, torch.zeros(1500, 3, 4, 4), torch.ones(1500, dtype=torch.int64))
    labels = seen[0]
    assert set(labels.tolist()) == {1, 3}
    assert float((labels == 3).float().mean()) == pytest.approx(0.1, abs=0.03)


def test_noise_levels_are_log_normal() -> None:
    seen: list[torch.Tensor] = []
    denoiser = untrained()
    denoiser.network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[1] * 4))
    torch.manual_seed(0)
    Loss(mean=-1.2, std=1.2)(denoiser, torch.zeros(1500, 3, 4, 4), torch.zeros(1500, dtype=torch.int64))
    assert float(seen[0].mean()) == pytest.approx(-1.2, abs=0.15)
    assert float(seen[0].std()) == pytest.approx(1.2, abs=0.15)
