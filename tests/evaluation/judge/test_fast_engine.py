"""The fast engine is step-equal to the reference in float32, and close to it where it rounds."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evaluation.base.challenge import get_challenge
from evaluation.base.images import random_subset
from evaluation.data.datasets import load_split
from evaluation.judge import fast_engine
from evaluation.judge.card_kernels import CardKernels
from evaluation.judge.draws import draw_pass
from evaluation.judge.dsa import KINDS, Draw
from evaluation.judge.engine import DeviceSet, put_on_device
from evaluation.judge.fast_engine import FastEngine, steps_of_a_graph
from evaluation.judge.norm_relu_pool import COMPILE_FROM_STEPS, Triple, fused, tensor_backward, tensor_forward
from evaluation.judge.parallel import workers_for
from evaluation.judge.protocol import Protocol
from evaluation.judge.reference_engine import ReferenceEngine
from evaluation.judge.rounds import train_round
from tests.device_traffic import CARD as CARD_OF_META
from tests.device_traffic import Watch
from tests.evaluation.small import SMALL, small_test, small_train
from tests.live_bytes import LiveBytes

STEPS = 50
BATCH = 8
MOST_LAUNCHES = 62
MOST_LAUNCHES_BESIDE_KERNELS = 32
PROTOCOL = Protocol(batch_size=BATCH)


def small_set(device: str = "cpu") -> DeviceSet:
    return put_on_device(small_train(28), SMALL, torch.device(device))


def started(engine: ReferenceEngine | FastEngine) -> ReferenceEngine | FastEngine:
    engine.start(seed=1)
    engine.set_rate(PROTOCOL.lr)
    return engine


def assert_fifty_steps_equal(train: DeviceSet, kind: str | None, protocol: Protocol = PROTOCOL) -> None:
    """Training amplifies rounding, so two things hold: from the reference's own state each step equals its step to
    rounding, and running free the losses stay together."""
    reference = started(ReferenceEngine(train, 10, protocol))
    free, led = (started(FastEngine(train, 10, protocol, dtype=torch.float32)) for _ in range(2))
    passes = (draw_pass(1, index, len(train), protocol.batch_size).to(train.device) for index in range(STEPS))
    batches = [batch for draws in passes for batch in draws.batches()][:STEPS]
    assert {len(index) for index, _ in batches} == {protocol.batch_size, len(train) % protocol.batch_size}
    assert kind or {drawn.kind for _, drawn in batches} == set(KINDS)
    for index, drawn in batches:
        before = {name: tensor.clone() for name, tensor in led.state().items()}
        expected, running, stepped = (
            engine.step(index, Draw(kind or drawn.kind, drawn.uniforms)).clone() for engine in (reference, free, led)
        )
        torch.testing.assert_close(stepped, expected, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(running, expected, rtol=0.1, atol=5e-3)
        for name, tensor in reference.state().items():
            # By norm: where an activation is zero to rounding, ReLU may let a single gradient through or not.
            assert (led.state()[name] - tensor).norm() <= 0.03 * (tensor - before[name]).norm() + 1e-7, name
        led.load(reference.state())
    assert expected < 1.5, "fifty steps learn something, or the test compares nothing"


@pytest.mark.parametrize("kind", KINDS)
def test_fifty_steps_equal_the_reference(kind: str) -> None:
    """Same initial weights, batches and draws give the same losses, each augmentation on its own."""
    assert_fifty_steps_equal(small_set(), kind)


@pytest.mark.slow
def test_fifty_steps_of_the_protocol_equal_the_reference() -> None:
    """Its own size of images and batches, and its own choice among the augmentations."""
    digits = get_challenge("digits")
    train = put_on_device(random_subset(load_split(digits, "train", None), 30, seed=0), digits, torch.device("cpu"))
    assert_fifty_steps_equal(train, None, Protocol())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_fifty_graphed_steps_equal_the_reference_on_a_gpu(kind: str) -> None:
    assert_fifty_steps_equal(small_set("cuda"), kind)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_graphed_bfloat16_steps_repeat_bit_for_bit_on_a_gpu() -> None:
    train = small_set("cuda")
    first, again = (started(FastEngine(train, 10, PROTOCOL)) for _ in range(2))
    for index in range(4):
        for batch, drawn in draw_pass(1, index, len(train), BATCH).to(train.device).batches():
            assert torch.equal(first.step(batch, drawn).clone(), again.step(batch, drawn))
    for name, tensor in first.state().items():
        assert torch.equal(again.state()[name], tensor)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_pass_as_one_graph_is_its_steps_bit_for_bit_on_a_gpu() -> None:
    pytest.importorskip("triton", reason="without its kernels a graph has one step")
    train = small_set("cuda")
    whole, plain = (started(FastEngine(train, 10, PROTOCOL, expected_steps=4 * COMPILE_FROM_STEPS)) for _ in range(2))
    assert isinstance(whole, FastEngine) and isinstance(plain, FastEngine)
    plain.graphed = None
    for index in range(4):
        draws = draw_pass(1, index, len(train), BATCH).to(train.device)
        assert torch.equal(whole.steps(draws), plain.steps(draws))
    for name, tensor in plain.state().items():
        assert torch.equal(whole.state()[name], tensor), name
    assert whole.steps_at_once >= len(draws), "it was captured as one"


@pytest.mark.usefixtures("three_torch_threads")
def test_parts_on_several_cores_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    train = small_set()
    monkeypatch.setattr(fast_engine, "PART_BYTES", 16 * 16 * 128 * 4)
    whole = started(FastEngine(train, 10, PROTOCOL, dtype=torch.float32))
    with workers_for(train.device) as workers:
        in_parts = started(FastEngine(train, 10, PROTOCOL, dtype=torch.float32, workers=workers))
        assert isinstance(in_parts, FastEngine) and in_parts._parts(BATCH, torch.float32) > 1
        for index, drawn in draw_pass(1, 0, len(train), BATCH).batches():
            torch.testing.assert_close(in_parts.step(index, drawn), whole.step(index, drawn))
    for name, tensor in whole.state().items():
        torch.testing.assert_close(in_parts.state()[name], tensor, rtol=1e-3, atol=1e-6)


def test_bfloat16_steps_stay_close_and_say_so() -> None:
    """One step's update in bfloat16 points where the float32 one does."""
    train = small_set()
    exact, rounded = (started(FastEngine(train, 10, PROTOCOL, dtype=d)) for d in (torch.float32, torch.bfloat16))
    index, drawn = next(draw_pass(1, 0, len(train), BATCH).batches())
    before = {name: tensor.clone() for name, tensor in exact.state().items()}
    torch.testing.assert_close(rounded.step(index, drawn), exact.step(index, drawn), rtol=1e-2, atol=0)
    for name in ("weight.blocks.0.0.weight", "weight.blocks.2.0.weight", "weight.head.weight"):
        updates = [(engine.state()[name] - before[name]).flatten() for engine in (exact, rounded)]
        assert torch.cosine_similarity(*updates, dim=0) > 0.99, name
    assert exact.deviations == ()
    assert "bfloat16" in rounded.deviations[0]


@pytest.mark.parametrize(
    ("dtype", "images", "least"),
    [(torch.float32, 400, 0.85), (torch.bfloat16, 100, 0.7)],  # bfloat16 takes minutes where it is emulated
)
def test_learns_digits(dtype: torch.dtype, images: int, least: float) -> None:
    train, test = (put_on_device(s, SMALL, torch.device("cpu")) for s in (small_train(images), small_test()))
    protocol = Protocol(epochs=10, batch_size=64)
    assert train_round(FastEngine(train, 10, protocol, dtype=dtype), test, 0).accuracy > least


def test_larger_images_have_fewer_steps_in_a_graph() -> None:
    assert [steps_of_a_graph(size) for size in (16, 28, 32, 64, 512)] == [64, 64, 64, 16, 1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_asks_nothing_of_the_host(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No wait, no copy, no tensor of the host's: what a capture allows. And few enough launches."""
    train = small_set()
    on_card = DeviceSet(*(tensor.to(CARD_OF_META) for tensor in (train.images, train.labels, train.mean, train.std)))
    engine = FastEngine(on_card, 10, PROTOCOL, dtype=torch.bfloat16)
    engine.norm_relu_pool = fused(tensor_forward, tensor_backward)
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
    train = small_set()
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
