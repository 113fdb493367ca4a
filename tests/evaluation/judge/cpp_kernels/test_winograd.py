"""Winograd's algorithm and its gradients against the definition in double precision."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from evaluation.judge.convnet import WIDTH
from evaluation.judge.cpp_kernels.build import build_library
from evaluation.judge.cpp_kernels.winograd import Winograd

# tiles: one; one row; a block and part of another; blocks and a group of rows that is not full
SHAPES = [(1, 4, 4), (2, 4, 12), (25, 8, 8), (12, 16, 16)]


@pytest.fixture(params=["here", "with AVX-512"], scope="module")
def winograd(request: pytest.FixtureRequest) -> Winograd:
    """As compiled for this processor, and arranged as for one with AVX-512."""
    library, why_none = build_library("winograd", *(["AS_WITH_AVX512"] if request.param == "with AVX-512" else []))
    if library is None:
        pytest.skip(why_none)
    return Winograd(library)


def inputs(images: int, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """x, kernel and the gradient of the result."""
    generator = torch.Generator().manual_seed(height * width)
    x, dy = (torch.randn(images, WIDTH, height, width, generator=generator) for _ in range(2))
    kernel = torch.randn(WIDTH, WIDTH, 3, 3, generator=generator) / 30
    return x.to(memory_format=torch.channels_last), kernel, dy


def error(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected).norm() / expected.norm())


@pytest.mark.parametrize(("images", "height", "width"), SHAPES)
def test_it_is_the_definition(winograd: Winograd, images: int, height: int, width: int) -> None:
    x, kernel, dy = inputs(images, height, width)
    exact_x, exact_kernel = x.double().requires_grad_(), kernel.double().requires_grad_()
    y = F.conv2d(exact_x, exact_kernel, padding=1)
    dx, dkernel = torch.autograd.grad(y, [exact_x, exact_kernel], dy.double())
    found = winograd.convolve(x, kernel)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert error(found, y.detach()) < 1e-5
    assert error(winograd.input_gradient(dy, kernel), dx) < 1e-5
    assert error(winograd.weight_gradient(x, dy), dkernel) < 1e-5


def test_working_memory_need_not_be_clean(winograd: Winograd) -> None:
    x, kernel, dy = inputs(25, 8, 8)
    expected = winograd.convolve(x, kernel), winograd.weight_gradient(x, dy)
    was = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)  # which fills fresh memory with NaN
    try:
        assert torch.empty(1).isnan().all()
        found = winograd.convolve(x, kernel), winograd.weight_gradient(x, dy)
    finally:
        torch.use_deterministic_algorithms(was)
    assert all(map(torch.equal, found, expected))


def test_an_image_does_not_depend_on_those_beside_it(winograd: Winograd) -> None:
    x, kernel, _ = inputs(25, 8, 8)
    assert torch.equal(winograd.convolve(x, kernel)[7:9], winograd.convolve(x[7:9], kernel))


def test_not_a_number_stays_one(winograd: Winograd) -> None:
    """A diverged training must not look like a finished one."""
    x, kernel, dy = inputs(2, 8, 8)
    x[0, 0, 0, 0] = float("nan")
    y = winograd.convolve(x, kernel)
    assert y[0, :, 0, 0].isnan().all() and y[1].isfinite().all()
    assert winograd.weight_gradient(x, dy)[:, 0].isnan().all()


def test_channels_first_tensors_are_taken_too(winograd: Winograd) -> None:
    x, kernel, dy = inputs(2, 8, 8)
    assert torch.equal(winograd.convolve(x.contiguous(), kernel), winograd.convolve(x, kernel))
    assert torch.equal(winograd.weight_gradient(x.contiguous(), dy), winograd.weight_gradient(x, dy))
