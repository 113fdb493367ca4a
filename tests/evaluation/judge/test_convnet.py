"""ConvNetD3-W128 against the facts of the protocol."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from evaluation.judge.convnet import ConvNet, seeded_convnet


@pytest.mark.parametrize(("size", "classes", "features"), [(32, 100, 2048), (64, 200, 8192), (32, 10, 2048)])
def test_shapes(size: int, classes: int, features: int) -> None:
    net = ConvNet(classes, size)
    assert net.head.in_features == features
    assert net(torch.randn(2, 3, size, size)).shape == (2, classes)
    convolutions = 3 * 128 * 9 + 2 * 128 * 128 * 9 + 3 * 128
    assert sum(p.numel() for p in net.parameters()) == convolutions + 3 * 2 * 128 + features * classes + classes


def test_forward_is_the_protocols_arithmetic() -> None:
    net = ConvNet(7, 32)
    x = torch.randn(3, 3, 32, 32)
    by_hand = x
    for conv, norm in ((block[0], block[1]) for block in net.blocks):
        y = F.conv2d(by_hand, conv.weight, conv.bias, padding=1)
        centred = y - y.mean((2, 3), keepdim=True)
        y = centred / (y.var((2, 3), correction=0, keepdim=True) + 1e-5).sqrt()
        y = (y * norm.weight.view(-1, 1, 1) + norm.bias.view(-1, 1, 1)).clamp(min=0)
        by_hand = y.unfold(2, 2, 2).unfold(3, 2, 2).mean((-1, -2))
    torch.testing.assert_close(net(x), F.linear(by_hand.flatten(1), net.head.weight, net.head.bias))


def test_initialisation_is_pytorchs_default_and_fixed_by_the_seed() -> None:
    before = torch.get_rng_state()
    first, again, other = (seeded_convnet(10, 32, seed) for seed in (5, 5, 6))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(5)
    default = ConvNet(10, 32)
    for name, weight in first.named_parameters():
        assert torch.equal(weight, again.get_parameter(name))
        assert torch.equal(weight, default.get_parameter(name))
    assert not torch.equal(first.head.weight, other.head.weight)


def test_too_small_images_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 8x8"):
        ConvNet(10, 4)
