"""A round is the protocol's passes in order, with the rate drop and the momentum restart where they belong.

Rounds in parallel are the same rounds, whatever interrupts them.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from evaluation.curve.curve import CurvePoint, Supply, measure_point
from evaluation.judge import checkpoint as checkpoint_module
from evaluation.judge import parallel, rounds
from evaluation.judge.checkpoint import Checkpoint, RoundState, load_checkpoint
from evaluation.judge.convnet import seeded_convnet
from evaluation.judge.draws import derived_seed, draw_pass, round_seed
from evaluation.judge.dsa import KINDS, augment
from evaluation.judge.engine import DeviceSet, Engine, put_on_device
from evaluation.judge.fast_engine import FastEngine
from evaluation.judge.protocol import Progress, Protocol
from evaluation.judge.reference_engine import ReferenceEngine
from evaluation.judge.rounds import ENGINES, get_engine, train_round
from evaluation.judge.score import Score, judge
from tests.evaluation.small import SMALL, small_test, small_train

CPU = torch.device("cpu")


def small_sets(images: int = 200) -> tuple[DeviceSet, DeviceSet]:
    return put_on_device(small_train(images), SMALL, CPU), put_on_device(small_test(), SMALL, CPU)


def test_protocol_is_the_challenges() -> None:
    protocol = Protocol()
    assert (protocol.passes, protocol.drop_after, protocol.batch_size) == (1001, 501, 256)
    assert (protocol.lr, protocol.lr_after_drop, protocol.momentum, protocol.weight_decay) == (0.01, 0.001, 0.9, 5e-4)
    assert [protocol.lr_of_pass(index) for index in (0, 501, 502, 1000)] == [0.01, 0.01, 0.001, 0.001]
    assert [protocol.steps_per_pass(images) for images in (1, 256, 257, 1000)] == [1, 1, 2, 4]


def test_protocol_refuses_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="epochs must be at least 1"):
        Protocol(epochs=0)
    with pytest.raises(ValueError, match="batch size"):
        Protocol(batch_size=0)


def test_images_are_not_copied_on_the_cpu() -> None:
    """100,000 images of 64x64 are 1.2 GB, and as float32 they would be four times that."""
    images = small_train(50)
    held = put_on_device(images, SMALL, CPU)
    assert held.images.dtype == torch.uint8
    assert held.images.data_ptr() == images.images.ctypes.data


def test_every_pass_is_a_shuffle_of_its_own() -> None:
    first, second, other = draw_pass(1, 0, 700, 256), draw_pass(1, 1, 700, 256), draw_pass(2, 0, 700, 256)
    for draws in (first, second, other):
        assert draws.order.sort().values.tolist() == list(range(700))
        assert len(draws.kinds) == 3
        assert [len(index) for index, _ in draws.batches()] == [256, 256, 188]
        assert all(drawn.uniforms.shape == (3, len(index)) for index, drawn in draws.batches())
    assert not torch.equal(first.order, second.order)
    assert not torch.equal(first.order, other.order)
    for draws in (second, other):  # not the augmentation of the first either
        assert not torch.isclose(first.uniforms, draws.uniforms).float().mean() > 0.01
    kinds = {draw_pass(seed, index, 400, 4).kinds for seed in (1, 2) for index in (0, 1)}
    assert len(kinds) == 4
    assert torch.equal(first.order, draw_pass(1, 0, 700, 256).order)


def test_kinds_are_uniform_over_steps() -> None:
    kinds = [kind for index in range(300) for kind in draw_pass(0, index, 8, 2).kinds]
    assert all(150 < kinds.count(kind) < 250 for kind in KINDS)


def test_seeds_differ_by_use() -> None:
    assert len({round_seed(0, 0), round_seed(0, 1), round_seed(1, 0), derived_seed(0, "pass", 0)}) == 4


@pytest.mark.parametrize("kind", ["fast", "reference"])
def test_a_round_is_the_protocol_written_out(kind: str) -> None:
    """Weights after four passes, over the rate drop, equal those of a loop written from the protocol alone."""
    train, test = small_sets(150)
    # few steps, the last of each pass on a short batch
    protocol = Protocol(epochs=3, batch_size=100)
    engine: Engine = ReferenceEngine(train, SMALL.classes, protocol)
    if kind == "fast":
        engine = FastEngine(train, SMALL.classes, protocol, dtype=torch.float32)
    losses: list[float] = []
    done = train_round(engine, test, 7, after_steps=lambda _, new, __: losses.extend(new.tolist()))

    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (SMALL.mean, SMALL.std))
    images = (torch.from_numpy(small_train(150).images).float() / 255 - mean) / std
    labels = torch.from_numpy(small_train(150).labels)
    net = seeded_convnet(10, 16, 7)
    weights = list(net.parameters())
    rate, velocity = 0.01, [torch.zeros_like(w) for w in weights]
    expected_losses = []
    for index in (0, 1, 2, 3):
        for at, drawn in draw_pass(7, index, 150, protocol.batch_size).batches():
            loss = F.cross_entropy(net(augment(images[at], drawn)), labels[at])
            for w, v, g in zip(weights, velocity, torch.autograd.grad(loss, weights), strict=True):
                v.mul_(0.9).add_(g + 5e-4 * w.detach())
                w.data.sub_(rate * v)
            expected_losses.append(loss.item())
        if index == 3 // 2 + 1:
            rate, velocity = 0.001, [torch.zeros_like(w) for w in weights]

    # The two sum in different orders, by processor too: where that puts an activation on the other side of 0, gradients
    # differ by a thousandth. Without weight decay the weights would be off by 0.2.
    assert losses == pytest.approx(expected_losses, rel=1e-3)
    initial = dict(seeded_convnet(10, 16, 7).named_parameters())
    for name, weight in net.named_parameters():
        if name.endswith(".0.bias"):
            continue  # the norm behind a convolution cancels its bias: what moves it is rounding alone
        change = weight.detach() - initial[name].detach()
        off = engine.state()[f"weight.{name}"] - weight.detach()
        assert float(off.norm() / change.norm()) < 0.05, name
    mean_test = (torch.from_numpy(small_test().images).float() / 255 - mean) / std
    right = net(mean_test).argmax(1) == torch.from_numpy(small_test().labels)
    assert done.accuracy == pytest.approx(right.float().mean().item())
    assert done.passes == 4
    per_class = [right[torch.from_numpy(small_test().labels) == label].float().mean().item() for label in range(10)]
    assert list(done.per_class) == pytest.approx(per_class)


@pytest.mark.parametrize("engine", ENGINES)
def test_same_seed_same_round(engine: str) -> None:
    train, test = small_sets(100)
    protocol = Protocol(epochs=1, batch_size=32)

    def losses(seed: int) -> list[float]:
        told: list[float] = []

        def listen(_: int, loss: Tensor, __: object) -> None:
            told.append(float(loss))

        train_round(get_engine(engine)(train, 10, protocol), test, seed, after_steps=listen)
        return told

    assert losses(3) == losses(3)
    assert losses(3) != losses(4)


@pytest.mark.parametrize("engine", ENGINES)
def test_resuming_at_any_step_changes_no_bit(engine: str) -> None:
    train, test = small_sets(100)
    protocol = Protocol(epochs=3, batch_size=32)
    states: list[RoundState] = []

    def keep(_: int, __: Tensor, state: object) -> None:
        now = state()  # type: ignore[operator]
        copies = {name: tensor.clone() for name, tensor in now.tensors.items()}
        states.append(RoundState(now.steps_done, now.seconds, copies))

    whole = get_engine(engine)(train, 10, protocol)
    expected = train_round(whole, test, 5, after_steps=keep)
    assert [state.steps_done for state in states] == list(range(1, 17))
    # 3: within a pass; 4: between passes; 12: where the rate drops; 14: after it; 16: all steps done.
    for state in (states[step - 1] for step in (3, 4, 12, 14, 16)):
        again = get_engine(engine)(train, 10, protocol)
        resumed = train_round(again, test, 5, resume=state)
        assert resumed.accuracy == expected.accuracy
        assert all(torch.equal(again.state()[name], tensor) for name, tensor in whole.state().items())


def test_a_rounds_seconds_are_those_of_all_sessions() -> None:
    train, test = small_sets(60)
    protocol = Protocol(epochs=1, batch_size=32)
    states: list[RoundState] = []

    def keep(_: int, __: Tensor, state: object) -> None:
        states.append(state())  # type: ignore[operator]

    def trained(resume: RoundState | None = None) -> float:
        ticks = count(50)  # a second between two looks at the clock
        engine = ReferenceEngine(train, 10, protocol)
        return train_round(engine, test, 5, resume=resume, after_steps=keep, clock=lambda: float(next(ticks))).seconds

    assert trained() == 5.0
    assert [(state.steps_done, state.seconds) for state in states] == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0)]
    assert trained(replace(states[1], seconds=100.0)) == 103.0
    assert [state.seconds for state in states[4:]] == [101.0, 102.0]


def test_unknown_engine() -> None:
    with pytest.raises(ValueError, match="choose one of: fast, reference"):
        get_engine("turbo")(small_sets()[0], 10, Protocol())


def test_draw_of_a_step_is_applied_to_its_own_images() -> None:
    draws = draw_pass(9, 0, 10, 4)
    by_step = [drawn for _, drawn in draws.batches()]
    assert torch.equal(torch.cat([drawn.uniforms for drawn in by_step], dim=1), draws.uniforms)
    assert [KINDS[int(drawn.code)] for drawn in by_step] == [drawn.kind for drawn in by_step]  # type: ignore[arg-type]


def test_parts_of_a_pass_are_its_steps_and_end_at_the_same_ones() -> None:
    draws = draw_pass(9, 0, 30, 4)
    for first in range(len(draws)):
        parts = list(draws.parts(3, first))
        assert torch.equal(torch.cat([part.order for part in parts]), draws.order[4 * first :])
        assert torch.equal(torch.cat([part.uniforms for part in parts], dim=1), draws.uniforms[:, 4 * first :])
        assert torch.equal(torch.cat([part.codes for part in parts]), draws.codes[first:])
        assert sum((part.kinds for part in parts), ()) == draws.kinds[first:]
        ends = [end for end in (3, 6, 8) if end > first]
        assert [len(part) for part in parts] == [end - begin for begin, end in zip([first, *ends], ends, strict=False)]


def judged(count: int = 4, checkpoint: Path | None = None, stop_at: int | None = None) -> Score:
    """Rounds of four passes; interrupted by its own progress report after `stop_at` passes of all rounds together."""

    def stop(progress: Progress) -> None:
        if stop_at and progress.passes_done >= stop_at:
            raise TimeoutError

    score = judge(
        small_train(100), small_test(), SMALL, rounds=count, epochs=3, checkpoint=checkpoint, on_progress=stop
    )
    return replace(score, seconds=0)


@pytest.fixture
def sequential(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "MAX_SLOTS", 1)


@pytest.fixture
def saving_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_module, "SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(checkpoint_module, "REPORT_EVERY_S", 0.0)


@pytest.mark.usefixtures("three_torch_threads")
def test_in_parallel_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    in_parallel = judged()
    assert torch.get_num_threads() == 3, "PyTorch has its threads back"
    monkeypatch.setattr(parallel, "MAX_SLOTS", 1)
    assert judged() == in_parallel
    assert len(set(in_parallel.rounds)) > 1


@pytest.mark.usefixtures("three_torch_threads")
def test_rounds_in_parallel_share_their_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """A card that held 100,000 images of 64x64 three times would lack 2.5 GB."""
    put, held = rounds.put_on_device, []

    def counted(*arguments: object) -> DeviceSet:
        held.append(put(*arguments))  # type: ignore[arg-type]
        return held[-1]

    monkeypatch.setattr(rounds, "put_on_device", counted)
    judged()
    assert [len(each) for each in held] == [len(small_test().labels), 100]


@pytest.mark.usefixtures("three_torch_threads", "saving_every_step")
@pytest.mark.parametrize("stop_at", [2, 7, 13])
def test_interrupted_in_parallel_and_resumed_equals_uninterrupted(tmp_path: Path, stop_at: int) -> None:
    file = tmp_path / "judge.checkpoint"
    with pytest.raises(TimeoutError):
        judged(checkpoint=file, stop_at=stop_at)
    assert judged(checkpoint=file) == judged()
    assert [path.name for path in tmp_path.iterdir()] == ["judge.checkpoint"]


@pytest.mark.usefixtures("three_torch_threads", "saving_every_step")
def test_a_checkpoint_holds_all_rounds_in_progress_and_fewer_may_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, in_progress = tmp_path / "judge.checkpoint", []
    save = rounds.save_checkpoint

    def counted(path: Path, fingerprint: str, checkpoint: Checkpoint) -> None:
        save(path, fingerprint, checkpoint)
        read = load_checkpoint(path, fingerprint)
        assert read and set(read.in_progress) == set(checkpoint.in_progress)
        in_progress.append(len(read.in_progress))

    monkeypatch.setattr(rounds, "save_checkpoint", counted)
    with pytest.raises(TimeoutError):
        judged(checkpoint=file, stop_at=7)
    assert max(in_progress) == 3
    assert judged(2, checkpoint=file).rounds == judged().rounds[:2]


@pytest.mark.usefixtures("three_torch_threads", "sequential", "saving_every_step")
def test_begun_sequential_goes_on_in_parallel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "judge.checkpoint"
    with pytest.raises(TimeoutError):
        judged(checkpoint=file, stop_at=6)
    monkeypatch.setattr(parallel, "MAX_SLOTS", 3)
    assert judged(checkpoint=file) == judged()


_INTERRUPTED = """
import sys, torch
from pathlib import Path
from evaluation.judge import checkpoint
from tests.evaluation.judge.test_rounds import SMALL, small_test, small_train, judge
checkpoint.SAVE_EVERY_S = 0.0
torch.set_num_threads(3)
judge(small_train(100), small_test(), SMALL, rounds=3, epochs=100_000, checkpoint=Path(sys.argv[1]))
"""


def test_an_interrupt_ends_all_slots(tmp_path: Path) -> None:
    file = tmp_path / "judge.checkpoint"
    process = subprocess.Popen([sys.executable, "-c", _INTERRUPTED, str(file)], stderr=subprocess.PIPE, text=True)
    while not file.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=60)[1]
    assert process.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in told and "RoundCancelled" not in told.rpartition("KeyboardInterrupt")[2]
    assert not list(tmp_path.glob(".*.part"))


def test_initial_weights_begun_in_threads_follow_their_seeds() -> None:
    seeds = list(range(40))
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda seed: seeded_convnet(10, 16, seed).head.weight.detach(), seeds))
    for seed, weight in zip(seeds, made, strict=True):
        assert torch.equal(weight, seeded_convnet(10, 16, seed).head.weight)


@pytest.mark.usefixtures("three_torch_threads")
def test_a_curves_rounds_in_parallel_are_told_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    supply, told = Supply(small_train(600), drawn=True), []

    def point(on_round: object = lambda _: None) -> CurvePoint:
        return measure_point(
            3, supply, small_test(), SMALL, rounds=5, epochs=2, device="cpu", checkpoints=tmp_path, on_round=on_round
        )  # type: ignore[arg-type]

    in_parallel = point(told.append)
    assert [len(each.rounds) for each in told] == [1, 2, 3, 4, 5]
    assert all(each.rounds == in_parallel.rounds[: len(each.rounds)] for each in told)
    monkeypatch.setattr(parallel, "MAX_SLOTS", 1)
    assert point().rounds == in_parallel.rounds
    assert not list(tmp_path.iterdir())
