"""Engines whose steps are graphs of a stand-in for the card (`fake_cuda.py`)."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import Tensor

from evaluation.judge import convolution, cuda_graphs, streams
from evaluation.judge.card_kernels import CardKernels
from evaluation.judge.cuda_graphs import GraphedSteps
from evaluation.judge.draws import PassDraws, draw_pass
from evaluation.judge.dsa import KINDS, Draw, augment
from evaluation.judge.engine import DeviceSet, put_on_device
from evaluation.judge.fast_engine import FastEngine
from evaluation.judge.norm_relu_pool import fused, tensor_backward, tensor_forward
from evaluation.judge.protocol import Protocol
from tests.evaluation.judge.fake_cuda import FakeCuda
from tests.evaluation.small import SMALL, small_train

PROTOCOL = Protocol(batch_size=8)
CARD = [torch.device("cuda", index) for index in (0, 1)]
# a recorder sees what PyTorch computes, but not what the C++ kernels do
IN_TENSORS = fused(tensor_forward, tensor_backward)


def use(fake: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    numbered = cache(streams.numbered_stream.__wrapped__)
    for module in (cuda_graphs, streams):
        monkeypatch.setattr(module, "cuda", fake)
        monkeypatch.setattr(module, "numbered_stream", numbered)
    monkeypatch.setattr(convolution, "build_winograd", lambda: None)
    return fake


def train_set() -> DeviceSet:
    return put_on_device(small_train(28), SMALL, torch.device("cpu"))


def an_engine(graphed_on: torch.device | None = None, seed: int = 1) -> FastEngine:
    engine = FastEngine(train_set(), 10, PROTOCOL, dtype=torch.float32)
    engine.norm_relu_pool = IN_TENSORS
    if graphed_on:
        engine.graphed = GraphedSteps(engine.updated, graphed_on, most=1, any_kind=False)
    engine.start(seed)
    engine.set_rate(PROTOCOL.lr)
    return engine


def engine_of_any_kind(most: int, seed: int = 1) -> FastEngine:
    """With graphs of so many steps, which read the kind of augmentation from the card's memory."""
    engine = an_engine(seed=seed)

    def of_any_kind(train: DeviceSet, index_B: Tensor, uniforms: Tensor, code: Tensor, dtype: torch.dtype) -> Tensor:
        each = torch.stack([augment(train.normalised(index_B), Draw(kind, uniforms)) for kind in KINDS])
        return each.index_select(0, code.view(1)).squeeze(0)

    engine.kernels = CardKernels(engine.norm_relu_pool, of_any_kind)
    engine.graphed = GraphedSteps(engine.updated, CARD[0], most=most, any_kind=True)
    return engine


def of_all_kinds(draws: PassDraws, first: int) -> PassDraws:
    """With kinds of augmentation that take turns."""
    codes = (torch.arange(len(draws), dtype=torch.int32) + first) % len(KINDS)
    return replace(draws, codes=codes, kinds=tuple(KINDS[code] for code in codes))


def a_pass(engine: FastEngine, index: int, kind: str | None = None) -> list[float]:
    draws = draw_pass(1, index, len(engine.train), PROTOCOL.batch_size)
    return [float(engine.step(index_B, Draw(kind or d.kind, d.uniforms))) for index_B, d in draws.batches()]


def assert_same(one: FastEngine, other: FastEngine) -> None:
    for name, tensor in one.state().items():
        assert torch.equal(tensor, other.state()[name]), name
