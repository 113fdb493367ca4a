"""The network: shapes, magnitudes, folding, presets."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from evaluation.base.challenge import challenges, get_challenge
from submission.diffusion.networks.denoiser import AUGMENT_CONDITION
from submission.diffusion.networks.unet import (
    PRESETS,
    UNet,
    UNetConfig,
    count_macs,
    count_parameters,
    fold,
    mp_concatenate,
    mp_silu,
    mp_sum,
    pixel_norm,
    renormalise,
)

TINY = UNetConfig(size=16, patch=2, widths=(16, 32), blocks=1, attention=(4,))

# Parameters in millions and multiply-accumulates of one evaluation in billions, as the table of presets states them.
STATED = {
    "digits": (1.42, 0.0625),
    "cifar100-cpu": (3.46, 0.1434),
    "cifar100-gpu": (10.40, 2.39),
    "tiny-imagenet-cpu": (3.09, 0.286),
    "tiny-imagenet-gpu": (4.04, 0.998),
}
# Half-precision weights stay below these sizes, in bytes.
LARGEST = {
    "digits": 4e6,
    "cifar100-cpu": 8e6,
    "cifar100-gpu": 24e6,
    "tiny-imagenet-cpu": 12e6,
    "tiny-imagenet-gpu": 12e6,
}


def tiny(seed: int = 0, dropout: float = 0.0) -> UNet:
    torch.manual_seed(seed)
    network = UNet(TINY, classes=3, augment=AUGMENT_CONDITION, dropout=dropout)
    with torch.no_grad():  # as training would: these are zero at first, and would hide what is behind them
        for name, parameter in network.named_parameters():
            if name.endswith("gain"):
                parameter.fill_(0.5)
    return network


def inputs(batch: int = 4) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(batch, 3, TINY.size, TINY.size, generator=draw)
    return x, torch.randn(batch, generator=draw), torch.arange(batch) % 3


@pytest.mark.parametrize("preset", PRESETS)
def test_preset_is_as_large_as_its_table_says_and_fits_its_limit(preset: str) -> None:
    challenge, config = PRESETS[preset]
    network = UNet(config, get_challenge(challenge).classes, AUGMENT_CONDITION)
    parameters, gmacs = STATED[preset]
    assert count_parameters(network) / 1e6 == pytest.approx(parameters, rel=0.01)
    assert count_macs(network) / 1e9 == pytest.approx(gmacs, rel=0.01)
    assert 2 * count_parameters(network) < LARGEST[preset]
    assert config.size == get_challenge(challenge).size


def test_every_challenge_has_a_preset() -> None:
    assert {challenge for challenge, _ in PRESETS.values()} == set(challenges())


def test_output_has_the_shape_and_type_of_the_input() -> None:
    x, noise, labels = inputs()
    for dtype in (torch.float32, torch.bfloat16):
        out = fold(tiny()).to(dtype)(x.to(dtype), noise, labels)
        assert out.shape == x.shape
        assert out.dtype == dtype


def test_config_survives_json() -> None:
    import json
    from dataclasses import asdict

    for _, config in PRESETS.values():
        assert UNetConfig.from_json(json.loads(json.dumps(asdict(config)))) == config


def test_an_untrained_network_answers_zero() -> None:
    x, noise, labels = inputs()
    assert UNet(TINY, 3, AUGMENT_CONDITION)(x, noise, labels).abs().max() == 0


def test_layers_keep_the_magnitude() -> None:
    a, b = torch.randn(2, 64, 64, 16, 16, generator=torch.Generator().manual_seed(0)).unbind(0)
    for y in (mp_silu(a), mp_sum(a, b, 0.3), mp_concatenate(a, b[:, :16]), pixel_norm(5 * a)):
        assert y.square().mean().sqrt() == pytest.approx(1, rel=0.02)
    network = UNet(UNetConfig(16, 2, (64, 96), 2, (4,)), 3, AUGMENT_CONDITION)
    with torch.no_grad():
        network.out_gain.fill_(1.0)
        x = torch.randn(16, 3, 16, 16, generator=torch.Generator().manual_seed(1))
        out = network(x, torch.zeros(16), torch.arange(16) % 3)
    assert out.square().mean().sqrt() == pytest.approx(1, rel=0.35)


def test_class_noise_level_and_augmentation_all_matter() -> None:
    network = tiny()
    torch.nn.init.normal_(network.embed_augment.weight)
    x, noise, labels = inputs()
    out = network(x, noise, labels)
    zeros = torch.zeros(4, AUGMENT_CONDITION)
    assert torch.equal(network(x, noise, labels, zeros), out)
    assert not torch.allclose(network(x, noise, (labels + 1) % 4), out, atol=1e-3)
    assert not torch.allclose(network(x, noise + 1, labels), out, atol=1e-3)
    assert not torch.allclose(network(x, noise, labels, zeros + 1), out, atol=1e-3)


def test_folding_and_renormalising_do_not_change_the_function() -> None:
    network = tiny()
    x, noise, labels = inputs()
    before = network(x, noise, labels)
    renormalised = copy.deepcopy(network)
    renormalise(renormalised)
    assert torch.allclose(renormalised(x, noise, labels), before, atol=1e-5)
    assert all(
        layer.weight.flatten(1).norm(dim=1).allclose(torch.tensor(math.sqrt(layer.weight[0].numel())))
        for layer in renormalised.layers()
    )
    folded = fold(copy.deepcopy(renormalised))
    assert torch.allclose(folded(x, noise, labels), before, atol=1e-5)
    assert not folded.training


def test_every_parameter_learns() -> None:
    network = tiny()
    torch.nn.init.normal_(network.embed_augment.weight)
    x, noise, labels = inputs()
    network(x, noise, labels, torch.ones(4, AUGMENT_CONDITION)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in network.parameters())
