"""Graphs of training steps with a stand-in for the card (`fake_cuda.py`)."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from evaluation.judge.card_kernels import CardKernels, triton_kernels
from evaluation.judge.checkpoint import RoundState
from evaluation.judge.cuda_graphs import GraphedSteps
from evaluation.judge.draws import draw_pass
from evaluation.judge.dsa import KINDS
from evaluation.judge.engine import put_on_device
from evaluation.judge.norm_relu_pool import fused
from evaluation.judge.rounds import train_round
from tests.evaluation.judge.fake_cuda import FakeCuda
from tests.evaluation.judge.graphed import (
    CARD,
    PROTOCOL,
    a_pass,
    an_engine,
    assert_same,
    engine_of_any_kind,
    of_all_kinds,
    train_set,
    use,
)
from tests.evaluation.small import SMALL, small_test


@pytest.fixture
def collector_off() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_replays_are_the_steps_over_a_rate_drop_a_load_and_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of 8 and of 4, all kinds of augmentation; bit by bit."""
    fake = use(FakeCuda(), monkeypatch)
    plain, graphed = an_engine(), an_engine(CARD[0])

    def assert_passes_are_the_same(first: int) -> None:
        for index, kind in enumerate(KINDS, first):
            assert a_pass(graphed, index, kind) == a_pass(plain, index, kind)
        assert_same(plain, graphed)

    assert_passes_are_the_same(0)
    saved = {name: tensor.clone() for name, tensor in plain.state().items()}
    for engine in (plain, graphed):
        engine.set_rate(PROTOCOL.lr_after_drop)
    assert_passes_are_the_same(6)
    for engine in (plain, graphed):
        engine.load(saved)
    assert_passes_are_the_same(6)
    for engine in (plain, graphed):
        engine.start(seed=2)
        engine.set_rate(PROTOCOL.lr)
    assert_passes_are_the_same(0)
    assert len(fake.captures) == 2 * len(KINDS), "each kind and size once"
    assert fake.pools == 1
    a_pass(an_engine(CARD[0]), 0)
    assert fake.pools == 2 and len(set(fake.captures)) == 1, "a pool for each engine, one stream for all"


@pytest.mark.parametrize(("most", "graphs"), [(1, 2), (3, 2), (64, 1)])
def test_a_pass_of_graphs_is_its_steps_whatever_their_augmentation(
    most: int, graphs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = use(FakeCuda(), monkeypatch)
    plain, graphed = an_engine(), engine_of_any_kind(most)
    for index in range(3):
        draws = of_all_kinds(draw_pass(1, index, len(graphed.train), PROTOCOL.batch_size), first=4 * index)
        assert graphed.steps(draws).tolist() == plain.steps(draws).tolist()
        assert_same(plain, graphed)
    assert len(fake.captures) == graphs, "whole batches, and those with the short one"


@pytest.mark.parametrize(("most", "resumed_at"), [(64, None), (3, 6)])
def test_a_round_of_pass_graphs_is_the_round(
    most: int, resumed_at: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four passes of four steps, the last of each on a short batch, over the rate drop; resumed in midst of a pass."""
    use(FakeCuda(), monkeypatch)
    protocol = replace(PROTOCOL, epochs=3)
    plain, graphed = an_engine(), engine_of_any_kind(most)
    plain.protocol = graphed.protocol = protocol
    test = put_on_device(small_test(20), SMALL, torch.device("cpu"))
    states: list[RoundState] = []
    told: list[tuple[int, int]] = []

    def keep(_: int, __: Tensor, state: Callable[[], RoundState]) -> None:
        now = state()
        states.append(replace(now, tensors={name: tensor.clone() for name, tensor in now.tensors.items()}))

    def tell(steps_done: int, losses_S: Tensor, _: object) -> None:
        told.append((steps_done, len(losses_S)))

    expected = train_round(plain, test, 5, after_steps=keep)
    resume = states[resumed_at - 1] if resumed_at else None
    found = train_round(graphed, test, 5, resume=resume, after_steps=tell)
    assert_same(plain, graphed)
    assert found.per_class == expected.per_class
    ends = [end for end in range(1, 17) if end % 4 == 0 or end % 4 == most]
    assert [end for end, _ in told] == [end for end in ends if end > (resumed_at or 0)], "may stop after each graph"
    assert sum(steps for _, steps in told) == 16 - (resumed_at or 0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="beside a card Triton interprets nothing")
def test_a_pass_graph_of_the_triton_kernels_is_their_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """In Triton's interpreter, over a rate drop; the recorder sees each kernel as an operation."""
    pytest.importorskip("triton", reason="the kernels are in Triton: pip install triton==3.7.1")
    fake = use(FakeCuda(), monkeypatch)
    plain, graphed = an_engine(), an_engine()
    kernels = triton_kernels(plain.train.size)
    for engine, its_kernels in ((plain, kernels), (graphed, recorded(kernels))):
        engine.kernels = its_kernels
        engine.norm_relu_pool = its_kernels.norm_relu_pool
    graphed.graphed = GraphedSteps(graphed.updated, CARD[0], most=64, any_kind=True)
    for index, lr in enumerate((PROTOCOL.lr, PROTOCOL.lr_after_drop)):
        draws = replace(of_all_kinds(draw_pass(1, index, 6, 2), first=3 * index), batch_size=2)
        for engine in (plain, graphed):
            engine.set_rate(lr)
        assert graphed.steps(draws).tolist() == plain.steps(draws).tolist()
    assert_same(plain, graphed)
    assert len(fake.captures) == 1


def recorded(kernels: CardKernels) -> CardKernels:
    """The same, each kernel as an operation of PyTorch, which is computed again at a replay.

    For one engine of a process: a second operation of a name frees the first, which must not be called after that.
    """
    forward, backward = kernels.norm_relu_pool.args[:2]  # type: ignore[attr-defined]
    library = torch.library

    @library.custom_op("recorded::forward", mutates_args=())
    def norm(y: Tensor, gamma: Tensor, beta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return tuple(tensor.clone() for tensor in forward(y, gamma, beta))  # type: ignore[return-value]

    @library.custom_op("recorded::backward", mutates_args=())
    def norm_back(
        gradient: Tensor, y: Tensor, mean: Tensor, rstd: Tensor, gamma: Tensor, beta: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        return tuple(tensor.clone() for tensor in backward(gradient, y, mean, rstd, gamma, beta))  # type: ignore[return-value]

    train = train_set()

    @library.custom_op("recorded::augmented", mutates_args=())
    def augmented(index_B: Tensor, uniforms: Tensor, code: Tensor) -> Tensor:
        return kernels.augmented(train, index_B, uniforms, code, torch.float32)

    return CardKernels(
        fused(norm, norm_back), lambda _, index_B, uniforms, code, __: augmented(index_B, uniforms, code)
    )


@pytest.mark.parametrize("card", CARD)
def test_the_second_card_is_trained_on_too(card: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = use(FakeCuda(owner=card.index), monkeypatch)
    plain, graphed = an_engine(), an_engine(card)
    assert a_pass(graphed, 0) == a_pass(plain, 0)
    assert_same(plain, graphed)
    assert {stream.card for stream in fake.captures} == {card.index}
    assert fake.card == 0, "the current card is as it was"


def test_an_empty_capture_is_noticed_and_trains_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    use(FakeCuda(owner=0), monkeypatch)
    plain, graphed = an_engine(), an_engine(CARD[1])
    with pytest.warns(UserWarning, match="run one by one \\(a replay does not end where the steps do\\)"):
        assert a_pass(graphed, 0) == a_pass(plain, 0)
    assert_same(plain, graphed)


def test_a_failed_capture_leaves_stream_weights_and_collector_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = use(FakeCuda(breaks=9), monkeypatch)
    plain, graphed = an_engine(), an_engine(CARD[0])
    stream = fake.current_stream()
    with pytest.warns(UserWarning, match="run one by one .*previous error during capture"):
        assert a_pass(graphed, 0) == a_pass(plain, 0)
    assert_same(plain, graphed)
    assert fake.current_stream() is stream and len(fake.captures) == 1
    assert gc.isenabled()


def test_where_many_steps_cannot_be_captured_each_is_a_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when a second graph fails, and then none of what was captured before is used again: see `_give_up`."""
    fake = use(FakeCuda(), monkeypatch)
    plain, graphed = an_engine(), engine_of_any_kind(3)
    draws = [draw_pass(1, index, len(plain.train), PROTOCOL.batch_size) for index in range(3)]
    (first, last), (plain_first, plain_last) = (list(draws[0].parts(3)) for _ in range(2))
    assert graphed.steps(first).tolist() == plain.steps(plain_first).tolist()
    assert graphed.graphed
    (of_three,) = graphed.graphed._captured.values()
    gone = weakref.ref(of_three.graph)
    del of_three
    fake.breaks = 1
    with pytest.warns(UserWarning, match="3 of the judge's steps cannot be captured as one CUDA graph: each is one"):
        assert graphed.steps(last).tolist() == plain.steps(plain_last).tolist()
    assert gone() is None
    assert graphed.steps(draws[1]).tolist() == plain.steps(draws[1]).tolist()
    assert_same(plain, graphed)
    assert (graphed.steps_at_once, len(fake.captures)) == (1, 4), "two that were given up, then each size once"
    graphed.graphed._captured.clear()
    fake.breaks = 1
    with pytest.warns(UserWarning, match="run one by one"):
        assert graphed.steps(draws[2]).tolist() == plain.steps(draws[2]).tolist()
    assert_same(plain, graphed)


@pytest.mark.usefixtures("collector_off")
def test_an_engine_and_its_graphs_go_with_its_last_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the collector: on a card, graphs and images of past judgements would add up until it runs."""
    use(FakeCuda(), monkeypatch)
    engine = an_engine(CARD[0])
    a_pass(engine, 0)
    assert engine.graphed
    graphs = [captured.graph for captured in engine.graphed._captured.values()]
    gone = [weakref.ref(each) for each in (engine, engine.graphed, engine.train.images, *graphs)]
    del engine, graphs
    assert [reference() for reference in gone] == [None] * len(gone)
