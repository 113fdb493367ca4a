"""Which convolutions are whose, and what autograd sees of them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from evaluation.judge import convolution as module
from evaluation.judge.convnet import WIDTH
from evaluation.judge.convolution import convolve
from evaluation.judge.cpp_kernels import winograd as winograd_module
from evaluation.judge.cpp_kernels.winograd import build_winograd

X = torch.randn(2, WIDTH, 8, 8, generator=torch.Generator().manual_seed(0)).to(memory_format=torch.channels_last)
KERNEL = torch.randn(WIDTH, WIDTH, 3, 3, generator=torch.Generator().manual_seed(1)) / 30
DY = torch.randn(2, WIDTH, 8, 8, generator=torch.Generator().manual_seed(2))


def gradients(x: Tensor, kernel: Tensor, of: list[int]) -> tuple[Tensor, ...]:
    leaves = [tensor.clone().requires_grad_(i in of) for i, tensor in enumerate((x, kernel))]
    return torch.autograd.grad(convolve(*leaves), [leaves[i] for i in of], DY)


def test_autograd_takes_winograds() -> None:
    winograd = build_winograd()
    if winograd is None:
        pytest.skip("there is no C++ compiler here")
    assert torch.equal(convolve(X, KERNEL), winograd.convolve(X, KERNEL))
    dx, dkernel = winograd.input_gradient(DY, KERNEL), winograd.weight_gradient(X, DY)
    for of, expected in (([0, 1], (dx, dkernel)), ([0], (dx,)), ([1], (dkernel,))):
        assert all(map(torch.equal, gradients(X, KERNEL, of), expected))


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((2, WIDTH, 8, 8), torch.bfloat16),
        ((2, WIDTH, 8, 8), torch.float64),
        ((2, WIDTH, 2, 8), torch.float32),
        ((2, WIDTH, 8, 9), torch.float32),
        ((2, 3, 8, 8), torch.float32),
    ],
)
def test_all_else_is_left_to_pytorch(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    monkeypatch.setattr(module, "build_winograd", lambda: pytest.fail("this is not for it"))
    x, kernel = torch.randn(shape).to(dtype), torch.randn(WIDTH, shape[1], 3, 3).to(dtype)
    assert torch.equal(convolve(x, kernel), F.conv2d(x, kernel, padding=1))


def test_without_a_compiler_pytorch_does_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winograd_module, "build_library", lambda _: (None, "there is no C++ compiler here"))
    build_winograd.cache_clear()
    assert torch.equal(convolve(X, KERNEL), F.conv2d(X, KERNEL, padding=1))
    build_winograd.cache_clear()
