"""The forms of the fused operation against the definition in double precision."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from evaluation.judge import norm_relu_pool as fused_module
from evaluation.judge.convnet import NORM_EPS, WIDTH
from evaluation.judge.cpp_kernels.norm_relu_pool import build_cpp_kernel
from evaluation.judge.norm_relu_pool import (
    NormReluPool,
    choose_norm_relu_pool,
    fused,
    plain_norm_relu_pool,
    tensor_backward,
    tensor_forward,
)

CPU = torch.device("cpu")
FORMS = ("kernel", "tensors", "plain")
SHAPES = [(5, 32, 32), (3, 8, 8), (2, 9, 13), (1, 2, 2)]


def the_form(name: str) -> NormReluPool:
    if name == "plain":
        return plain_norm_relu_pool
    if name == "tensors":
        return fused(tensor_forward, tensor_backward)
    kernel, why_none = build_cpp_kernel()
    if kernel is None:
        pytest.skip(why_none)
    return fused(partial(kernel.forward, eps=NORM_EPS), kernel.backward)


def inputs(
    images: int, height: int, width: int, dtype: torch.dtype, shift: float = 0.0
) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(height * width)
    y = torch.randn(images, WIDTH, height, width, generator=generator)
    gamma, beta = torch.randn(WIDTH, generator=generator), torch.randn(WIDTH, generator=generator)
    return (y + shift).to(dtype).to(memory_format=torch.channels_last), gamma, beta


def with_gradients(
    function: NormReluPool, y: Tensor, gamma: Tensor, beta: Tensor, gradient: Tensor
) -> tuple[Tensor, tuple[Tensor, ...]]:
    leaves = [tensor.detach().clone().requires_grad_() for tensor in (y, gamma, beta)]
    pooled = function(*leaves)
    return pooled.detach(), torch.autograd.grad(pooled, leaves, gradient.to(pooled.dtype))


def exact(y: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """The definition, in double precision."""
    y = y.double()
    centred = y - y.mean((2, 3), keepdim=True)
    yhat = centred / (y.var((2, 3), correction=0, keepdim=True) + 1e-5).sqrt()
    z = yhat * gamma.double().view(-1, 1, 1) + beta.double().view(-1, 1, 1)
    return F.avg_pool2d(z.relu(), 2)


@pytest.mark.parametrize(("images", "height", "width"), SHAPES)
@pytest.mark.parametrize(
    # A large mean costs PyTorch's own norm three digits; the forms of this project keep them.
    ("form", "shift"),
    [("kernel", 0.0), ("tensors", 0.0), ("plain", 0.0), ("kernel", 50.0), ("tensors", 50.0)],
)
def test_float32_is_the_definition(form: str, images: int, height: int, width: int, shift: float) -> None:
    y, gamma, beta = inputs(images, height, width, torch.float32, shift)
    gradient = torch.randn(images, WIDTH, height // 2, width // 2, generator=torch.Generator().manual_seed(0))
    expected, expected_gradients = with_gradients(exact, y, gamma, beta, gradient)
    pooled, gradients = with_gradients(the_form(form), y, gamma, beta, gradient)
    torch.testing.assert_close(pooled.double(), expected, atol=2e-4, rtol=1e-4)
    # Where ReLU turns, rounding decides which side an element is on: all but a few in ten thousand are held equal.
    for mine, theirs in zip(gradients, expected_gradients, strict=True):
        scale = theirs.abs().mean()
        assert ((mine - theirs).abs() > 2e-3 * scale + 1e-3 * theirs.abs()).double().mean() < 0.01


@pytest.mark.parametrize("form", ["kernel", "tensors"])
def test_bfloat16_is_float32_on_rounded_activations(form: str) -> None:
    function = the_form(form)
    y, gamma, beta = inputs(4, 16, 16, torch.bfloat16)
    gradient = torch.randn(4, WIDTH, 8, 8, generator=torch.Generator().manual_seed(0)).bfloat16()
    expected, expected_gradients = with_gradients(function, y.float(), gamma, beta, gradient.float())
    pooled, gradients = with_gradients(function, y, gamma, beta, gradient)
    assert torch.equal(pooled, expected.bfloat16())
    assert torch.equal(gradients[0], expected_gradients[0].bfloat16())
    for mine, theirs in zip(gradients[1:], expected_gradients[1:], strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("form", FORMS)
def test_a_flat_image_gives_finite_numbers(form: str) -> None:
    y = torch.full((2, WIDTH, 8, 8), 3.0).to(memory_format=torch.channels_last)
    gamma, beta = torch.ones(WIDTH), torch.full((WIDTH,), 0.5)
    pooled, gradients = with_gradients(the_form(form), y, gamma, beta, torch.ones(2, WIDTH, 4, 4))
    torch.testing.assert_close(pooled, torch.full_like(pooled, 0.5), atol=1e-4, rtol=0)
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("form", FORMS)
def test_not_a_number_stays_one(form: str) -> None:
    """A diverged training must not look like a finished one."""
    y, gamma, beta = inputs(1, 8, 8, torch.bfloat16)
    y[0, 0, 0, 0] = float("nan")
    y.requires_grad_()
    the_form(form)(y, gamma, beta).sum().backward()
    assert y.grad is not None
    assert y.grad[0, 0].isnan().any()


@pytest.mark.parametrize("form", FORMS)
def test_channels_first_input_is_taken_too(form: str) -> None:
    y, gamma, beta = inputs(2, 8, 8, torch.float32)
    function = the_form(form)
    torch.testing.assert_close(function(y.contiguous(), gamma, beta), function(y, gamma, beta))


@pytest.mark.slow
def test_compiled_is_the_definition() -> None:
    """As on CUDA, but with the compiler's CPU back end."""
    compiled = fused_module._compiled_norm_relu_pool(CPU)
    assert compiled is not plain_norm_relu_pool
    assert fused_module._compiled_norm_relu_pool(CPU) is compiled, "compiled once in a process"
    for images, height, width in SHAPES[:2]:
        y, gamma, beta = inputs(images, height, width, torch.float32)
        gradient = torch.ones(images, WIDTH, height // 2, width // 2)
        expected, expected_gradients = with_gradients(the_form("tensors"), y, gamma, beta, gradient)
        pooled, gradients = with_gradients(compiled, y, gamma, beta, gradient)
        torch.testing.assert_close(pooled, expected)
        assert pooled.is_contiguous(memory_format=torch.channels_last)
        for mine, theirs in zip(gradients, expected_gradients, strict=True):
            assert ((mine - theirs).abs() > 1e-3 * theirs.abs().mean()).float().mean() < 0.01


def test_without_a_compiler_it_says_so_and_works(monkeypatch: pytest.MonkeyPatch) -> None:
    why_none = "the C++ compiler g++ does not work (FileNotFoundError)"
    monkeypatch.setattr(fused_module, "build_cpp_kernel", lambda: (None, why_none))
    with pytest.warns(UserWarning, match="does not work \\(FileNotFoundError\\), so the fast judge runs uncompiled"):
        assert choose_norm_relu_pool(CPU, 0) is plain_norm_relu_pool


def test_a_broken_tool_chain_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object, **__: object) -> object:
        def fails(*_: object) -> Tensor:
            raise RuntimeError("no triton")

        return fails

    monkeypatch.setattr(torch, "compile", broken)
    fused_module._compiled_norm_relu_pool.cache_clear()
    with pytest.warns(UserWarning, match="compiling failed"):
        assert fused_module._compiled_norm_relu_pool(CPU) is plain_norm_relu_pool
    fused_module._compiled_norm_relu_pool.cache_clear()


def test_many_shapes_are_compiled_also_in_the_thread_of_the_backward(monkeypatch: pytest.MonkeyPatch) -> None:
    """A judgement and baselines with other last batches; on CUDA autograd has a thread of its own."""
    compiled: list[dict[str, object]] = []

    def counting(graph: torch.fx.GraphModule, inputs: list[Tensor], **options: object) -> Callable[..., object]:
        compiled.append(options)
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=counting))
    function = fused(fused_module._compiled(tensor_forward), fused_module._compiled(tensor_backward))
    shapes = range(1, 11)  # two more than PyTorch's own limit
    pooled = []
    for images in shapes:
        y, gamma, beta = inputs(images, 2, 2, torch.float32)
        pooled.append(function(y.requires_grad_(), gamma, beta))
    with ThreadPoolExecutor(1) as pool:
        for each in pooled:
            pool.submit(each.sum().backward).result()
    assert len(compiled) == 2 * len(shapes), "none fell back to running uncompiled"
    assert all(options == {"options": {"deterministic": True}} for options in compiled), "nothing is tuned by timing"


def test_choosing_warns_of_nothing_where_a_compiler_works() -> None:
    the_form("kernel")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choose_norm_relu_pool(CPU, 0) is not plain_norm_relu_pool
