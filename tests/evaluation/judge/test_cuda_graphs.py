"""Graphs of the training step with a stand-in for the card (`fake_cuda.py`)."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import replace
from functools import cache
from threading import Barrier

import pytest
import torch
from torch import Tensor

from evaluation.judge import cuda_graphs, fast_engine, streams
from evaluation.judge.card_kernels import CardKernels
from evaluation.judge.checkpoint import RoundState
from evaluation.judge.cuda_graphs import GraphedSteps
from evaluation.judge.draws import PassDraws, draw_pass
from evaluation.judge.dsa import KINDS, Draw, augment
from evaluation.judge.engine import DeviceSet, put_on_device
from evaluation.judge.fast_engine import FastEngine, steps_of_a_graph
from evaluation.judge.norm_relu_pool import Triple, fused, tensor_backward, tensor_forward
from evaluation.judge.parallel import RoundSlots
from evaluation.judge.protocol import Protocol
from evaluation.judge.rounds import train_round
from tests.device_traffic import CARD as CARD_OF_META
from tests.device_traffic import Watch
from tests.evaluation.judge.fake_cuda import FakeCuda, Stream
from tests.evaluation.small import SMALL, small_test, small_train
from tests.live_bytes import LiveBytes

PROTOCOL = Protocol(batch_size=8)
MOST_LAUNCHES = 62
MOST_LAUNCHES_BESIDE_KERNELS = 32
CARD = [torch.device("cuda", index) for index in (0, 1)]


@pytest.fixture(autouse=True)
def in_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recorder sees what PyTorch computes, but not what the C++ kernel does."""
    monkeypatch.setattr(fast_engine, "choose_norm_relu_pool", lambda *_: fused(tensor_forward, tensor_backward))


@pytest.fixture
def collector_off() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def use(fake: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    numbered = cache(streams.numbered_stream.__wrapped__)
    for module in (cuda_graphs, streams):
        monkeypatch.setattr(module, "cuda", fake)
        monkeypatch.setattr(module, "numbered_stream", numbered)
    return fake


def train_set() -> DeviceSet:
    return put_on_device(small_train(28), SMALL, torch.device("cpu"))


def an_engine(graphed_on: torch.device | None = None, seed: int = 1) -> FastEngine:
    engine = FastEngine(train_set(), 10, PROTOCOL, dtype=torch.float32)
    if graphed_on:
        engine.graphed = GraphedSteps(engine.updated, graphed_on, most=1, any_kind=False)
    engine.start(seed)
    engine.set_rate(PROTOCOL.lr)
    return engine


def engine_of_any_kind(most: int) -> FastEngine:
    """With graphs of so many steps, which read the kind of augmentation from the card's memory."""
    engine = an_engine()

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


def test_rounds_in_parallel_have_streams_and_pools_of_their_own_and_the_same_bits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = use(FakeCuda(), monkeypatch)
    all_begun = Barrier(3, timeout=60)
    settings = []

    def trained(number: int) -> tuple[FastEngine, list[float], Stream]:
        engine = an_engine(CARD[0], seed=number)
        all_begun.wait()
        losses = [loss for index in range(2) for loss in a_pass(engine, index)]
        settings.append((torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32))
        return engine, losses, fake.current_stream()

    before = torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32
    slots = RoundSlots(3, "fast", CARD[0])
    done = slots.run(trained, range(3))
    slots.close()
    for number, (engine, losses, stream) in enumerate(done):
        plain = an_engine(seed=number)
        assert losses == [loss for index in range(2) for loss in a_pass(plain, index)]
        assert_same(plain, engine)
        assert engine.graphed
        assert fake.captures.count(stream) == len(engine.graphed._captured) > 1
        assert stream.waited_for[0] is fake.default_stream() and stream.finished == 1
    assert fake.pools == 3 and len(set(fake.captures)) == 3
    assert fake.current_stream() is fake.default_stream()
    assert settings == [(True, False)] * 3, "no thread takes away what makes another's convolutions repeatable"
    assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32) == before


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


def test_a_card_is_given_little_work_in_advance(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interruption waits for it; without a limit that would be a thousand graphs."""
    fake = use(FakeCuda(), monkeypatch)
    engine = engine_of_any_kind(2)
    for index in range(3):
        engine.steps(draw_pass(1, index, len(engine.train), PROTOCOL.batch_size))
    assert (fake.waiting, fake.most_waiting) == (2, 3)


def test_larger_images_have_fewer_steps_in_a_graph() -> None:
    assert [steps_of_a_graph(size) for size in (16, 28, 32, 64, 512)] == [64, 64, 64, 16, 1]


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


@pytest.mark.parametrize("wait", [streams.synchronise, streams.release])
def test_the_whole_card_is_waited_for_before_or_after_a_capture(
    wait: Callable[[torch.device], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round reports its loss while another captures: on a card such a wait breaks the capture of any thread."""
    fake = use(FakeCuda(), monkeypatch)
    engine, asked = an_engine(CARD[0]), []
    make_step = engine._step

    def step(index_B: Tensor, drawn: Draw) -> Tensor:
        if fake.capturing:
            asked.append(other.submit(wait, CARD[0]))
            futures.wait(asked, timeout=0.2)  # it comes to its end only where it waits for nothing
        return make_step(index_B, drawn)

    monkeypatch.setattr(engine, "_step", step)
    with futures.ThreadPoolExecutor(1) as other:
        a_pass(engine, 0, "flip")
        assert len(asked) == 2, "once for each size"
        for each in asked:
            each.result()


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


def test_a_cards_memory_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = use(FakeCuda(), monkeypatch)
    streams.release(torch.device("cpu"))
    assert fake.emptied == []
    streams.release(CARD[1])
    assert fake.emptied == [1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_asks_nothing_of_the_host(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No wait, no copy, no tensor of the host's: what a capture allows. And few enough launches."""
    train = train_set()
    on_card = DeviceSet(*(tensor.to(CARD_OF_META) for tensor in (train.images, train.labels, train.mean, train.std)))
    engine = FastEngine(on_card, 10, PROTOCOL, dtype=torch.bfloat16)
    drawn = Draw(kind, torch.rand(3, 8, device=CARD_OF_META))
    index_B = torch.arange(8, device=CARD_OF_META)
    with Watch() as watch:
        loss = engine._step(index_B, drawn)
    assert loss.shape == () and loss.device == CARD_OF_META
    assert watch.traffic.copies == watch.traffic.waits == watch.traffic.host_operands == []
    monkeypatch.setattr(engine, "norm_relu_pool", fused(one_launch, one_launch_back))
    with Watch() as watch:
        engine._step(index_B, drawn)
    # beside the compiled norms and what convolutions launch more than one of; every launch takes 1 to 2 microseconds
    assert len(watch.traffic.kernels) <= MOST_LAUNCHES
    engine.kernels = CardKernels(engine.norm_relu_pool, one_launch_of_batch)
    with Watch() as watch:
        engine._step(index_B, Draw(kind, drawn.uniforms, torch.zeros((), dtype=torch.int32, device=CARD_OF_META)))
    assert watch.traffic.copies == watch.traffic.waits == watch.traffic.host_operands == []
    # beside three kernels for the norms, three for their backward and one for the batch
    assert len(watch.traffic.kernels) <= MOST_LAUNCHES_BESIDE_KERNELS


def test_a_pass_asks_nothing_of_the_host_and_needs_no_more_memory_than_steps() -> None:
    train = train_set()
    on_card = DeviceSet(*(tensor.to(CARD_OF_META) for tensor in (train.images, train.labels, train.mean, train.std)))
    engine = FastEngine(on_card, 10, PROTOCOL, dtype=torch.bfloat16)
    engine.kernels = CardKernels(fused(one_launch, one_launch_back), one_launch_of_batch)
    engine.norm_relu_pool = engine.kernels.norm_relu_pool
    draws = draw_pass(1, 0, len(train), PROTOCOL.batch_size).to(CARD_OF_META)
    launches, peaks = [], []
    for part in (next(draws.parts(2)), draws):
        with Watch() as watch:
            engine._steps(part)
        assert watch.traffic.copies == watch.traffic.waits == watch.traffic.host_operands == []
        launches.append(len(watch.traffic.kernels))
        with LiveBytes() as live:
            engine._steps(part)
        peaks.append(live.peak)
    assert launches[1] <= 2 * launches[0]
    assert peaks[1] < 1.01 * peaks[0], "four steps need what two do"


def one_launch(y_NCHW: Tensor, gamma_C: Tensor, beta_C: Tensor) -> Triple:
    """Stands for a compiled norm: gives what it gives and computes nothing."""
    images, channels, height, width = y_NCHW.shape
    return y_NCHW.new_empty(images, channels, height // 2, width // 2), *y_NCHW.new_empty(2, images, channels)


def one_launch_of_batch(
    train: DeviceSet, index_B: Tensor, uniforms: Tensor, code: Tensor, dtype: torch.dtype
) -> Tensor:
    size = train.size
    return torch.empty(len(index_B), 3, size, size, dtype=dtype, device=CARD_OF_META, memory_format=torch.channels_last)


def one_launch_back(gradient: Tensor, y_NCHW: Tensor, *saved: Tensor) -> Triple:
    return torch.empty_like(y_NCHW), *y_NCHW.new_empty(2, y_NCHW.shape[1], dtype=torch.float32)
