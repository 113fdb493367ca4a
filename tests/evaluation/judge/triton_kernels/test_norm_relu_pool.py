"""The kernels against the definition in double precision, in Triton's interpreter or on a card."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

pytest.importorskip("triton", reason="the kernels are in Triton: pip install triton==3.7.1")

from evaluation.judge.card_kernels import triton_kernels
from evaluation.judge.convnet import WIDTH
from evaluation.judge.norm_relu_pool import NormReluPool

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture(scope="module")
def kernel() -> NormReluPool:
    return triton_kernels(32).norm_relu_pool


def inputs(images: int, height: int, width: int, shift: float = 0.0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(height * width)
    shapes = ((images, WIDTH, height, width), (WIDTH,), (WIDTH,), (images, WIDTH, height // 2, width // 2))
    y, gamma, beta, gradient = (torch.randn(shape, generator=generator).to(DEVICE) for shape in shapes)
    return (y + shift).to(memory_format=torch.channels_last), gamma, beta, gradient


def exact(y: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    return F.avg_pool2d(F.group_norm(y, WIDTH, gamma, beta, 1e-5).relu(), 2)


@pytest.mark.parametrize("shift", [0.0, 50.0])
@pytest.mark.parametrize(("images", "height", "width"), [(2, 32, 32), (3, 8, 8), (1, 2, 2), (2, 4, 12), (1, 64, 64)])
def test_float32_is_the_definition(images: int, height: int, width: int, shift: float, kernel: NormReluPool) -> None:
    *given, gradient = inputs(images, height, width, shift)
    leaves = [each.requires_grad_() for each in given]
    doubles = [each.detach().double().requires_grad_() for each in given]
    pooled, expected = kernel(*leaves), exact(*doubles)
    assert pooled.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(pooled.double(), expected, atol=2e-4, rtol=1e-4)
    mine = torch.autograd.grad(pooled, leaves, gradient)
    theirs = torch.autograd.grad(expected, doubles, gradient.double())
    # where ReLU turns, rounding decides which side an element is on
    for one, other in zip(mine, theirs, strict=True):
        off = (one - other).abs() > 2e-3 * other.abs().mean() + 1e-3 * other.abs()
        assert off.double().mean() < 0.01


def test_bfloat16_is_float32_on_rounded_activations(kernel: NormReluPool) -> None:
    y, gamma, beta, gradient = inputs(2, 8, 8)
    y, gradient = y.bfloat16(), gradient.bfloat16()
    leaves, wider = y.clone().requires_grad_(), y.float().requires_grad_()
    pooled, expected = kernel(leaves, gamma, beta), kernel(wider, gamma, beta)
    assert pooled.dtype == torch.bfloat16
    ulp = 2**-7  # the interpreter cuts where a card rounds
    torch.testing.assert_close(pooled.float(), expected, atol=1e-6, rtol=ulp)
    dy = torch.autograd.grad(pooled, leaves, gradient)[0]
    torch.testing.assert_close(
        dy.float(), torch.autograd.grad(expected, wider, gradient.float())[0], atol=1e-6, rtol=ulp
    )


def test_a_flat_image_gives_finite_numbers(kernel: NormReluPool) -> None:
    y = torch.full((2, WIDTH, 8, 8), 3.0, device=DEVICE).to(memory_format=torch.channels_last).requires_grad_()
    pooled = kernel(y, torch.ones(WIDTH, device=DEVICE), torch.full((WIDTH,), 0.5, device=DEVICE))
    torch.testing.assert_close(pooled, torch.full_like(pooled, 0.5), atol=1e-4, rtol=0)
    assert torch.autograd.grad(pooled.sum(), y)[0].isfinite().all()


def test_not_a_number_stays_one(kernel: NormReluPool) -> None:
    y, gamma, beta, gradient = inputs(1, 8, 8)
    y[0, 0, 0, 0] = float("nan")
    pooled = kernel(y.requires_grad_(), gamma, beta)
    assert pooled[0, 0].isnan().all() and pooled[0, 1:].isfinite().all()
    assert torch.autograd.grad(pooled, y, gradient)[0][0, 0].isnan().any()
