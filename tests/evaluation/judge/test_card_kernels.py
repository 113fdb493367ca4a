"""Kernels are used where they compute what they should, and the engine's steps with them are its steps without."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from evaluation.judge import card_kernels
from evaluation.judge.card_kernels import check_augmented, check_norm_relu_pool, proven_kernels, triton_kernels
from evaluation.judge.draws import draw_pass
from evaluation.judge.dsa import KINDS, Draw, augment
from evaluation.judge.engine import DeviceSet, put_on_device
from evaluation.judge.fast_engine import FastEngine
from evaluation.judge.norm_relu_pool import plain_norm_relu_pool
from evaluation.judge.protocol import Protocol
from tests.evaluation.small import SMALL, small_train

CPU = torch.device("cpu")
DTYPES = (torch.bfloat16, torch.float32)
interpreted = pytest.mark.skipif(torch.cuda.is_available(), reason="beside a card Triton interprets nothing")


@pytest.fixture(autouse=True)
def unproven() -> Iterator[None]:
    proven_kernels.cache_clear()
    yield
    proven_kernels.cache_clear()


def in_tensors(train: DeviceSet, index_B: Tensor, uniforms: Tensor, code: Tensor, dtype: torch.dtype) -> Tensor:
    """What the kernel computes, in PyTorch."""
    return augment(train.normalised(index_B), Draw(KINDS[int(code)], uniforms)).to(dtype)


@interpreted
def test_proven_in_the_interpreter() -> None:
    pytest.importorskip("triton", reason="the kernels are in Triton: pip install triton==3.7.1")
    assert proven_kernels(CPU, 16, DTYPES)
    assert proven_kernels(CPU, 20, DTYPES) is None, "a size that three halvings do not divide"


def test_what_is_not_float64_to_rounding_is_refused() -> None:
    check_norm_relu_pool(plain_norm_relu_pool, CPU, 8, torch.float32)
    check_norm_relu_pool(plain_norm_relu_pool, CPU, 8, torch.bfloat16)
    check_augmented(in_tensors, CPU, 16)
    with pytest.raises(RuntimeError, match=r"norm, ReLU and pooling at 8 in torch\.bfloat16: result differs"):
        check_norm_relu_pool(lambda y, g, b: plain_norm_relu_pool(y, g, b) * 1.1, CPU, 8, torch.bfloat16)
    with pytest.raises(RuntimeError, match="dgamma differs"):
        check_norm_relu_pool(
            lambda y, g, b: plain_norm_relu_pool(y, g - (0.5 * g - (0.5 * g).detach()), b), CPU, 8, torch.float32
        )
    for number, kind in enumerate(KINDS):

        def wrong(*given: Tensor, number: int = number) -> Tensor:
            x = in_tensors(*given)  # type: ignore[arg-type]
            return x.roll(1, 3) if given[3] == number else x

        with pytest.raises(RuntimeError, match=f"the augmentation {kind} at 16 differs"):
            check_augmented(wrong, CPU, 16)  # type: ignore[arg-type]


def test_a_kernel_that_computes_something_else_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = card_kernels.CardKernels(plain_norm_relu_pool, lambda *given: in_tensors(*given) + 0.1)
    monkeypatch.setattr(card_kernels, "triton_kernels", lambda size: kernels)
    with pytest.warns(UserWarning, match="does without its Triton kernels: RuntimeError: the augmentation color"):
        assert proven_kernels(CPU, 16, DTYPES) is None


def test_without_triton_nothing_is_said(monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder) -> None:
    for name in [name for name in sys.modules if name.startswith("evaluation.judge.triton_kernels")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "triton", None)
    assert proven_kernels(CPU, 16, DTYPES) is None
    assert not recwarn.list


@interpreted
def test_steps_with_the_kernels_are_those_without() -> None:
    pytest.importorskip("triton", reason="the kernels are in Triton: pip install triton==3.7.1")
    train, protocol = put_on_device(small_train(4), SMALL, CPU), Protocol(batch_size=4)
    plain, fast = (FastEngine(train, SMALL.classes, protocol, dtype=torch.float32) for _ in range(2))
    fast.kernels = triton_kernels(train.size)
    fast.norm_relu_pool = fast.kernels.norm_relu_pool
    for engine in (plain, fast):
        engine.start(seed=1)
        engine.set_rate(protocol.lr)
    for index, kind in enumerate(KINDS):
        for index_B, drawn in draw_pass(1, index, len(train), 4).batches():
            expected = float(plain.step(index_B, Draw(kind, drawn.uniforms)))
            assert float(fast.step(index_B, Draw(kind, drawn.uniforms))) == pytest.approx(expected, rel=1e-4)
            fast.load(plain.state())
