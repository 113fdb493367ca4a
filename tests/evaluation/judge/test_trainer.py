"""A round is the protocol's passes, in order, with the rate drop and the momentum restart where they belong."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from evaluation.judge.convnet import seeded_convnet
from evaluation.judge.device_set import Resident, resident
from evaluation.judge.draws import derived_seed, draw_pass, round_seed
from evaluation.judge.dsa import KINDS, Draw, augment
from evaluation.judge.protocol import Protocol
from evaluation.judge.trainer import ENGINES, RoundState, build_engine, train_round
from tests.evaluation.small import SMALL, small_test, small_train

CPU = torch.device("cpu")


def small_sets(images: int = 200) -> tuple[Resident, Resident]:
    return resident(small_train(images), SMALL, CPU), resident(small_test(), SMALL, CPU)


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
    held = resident(images, SMALL, CPU)
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
    assert torch.equal(first.order, draw_pass(1, 0, 700, 256).order)


def test_kinds_are_uniform_over_steps() -> None:
    kinds = [kind for index in range(300) for kind in draw_pass(0, index, 8, 2).kinds]
    assert all(150 < kinds.count(kind) < 250 for kind in KINDS)


def test_seeds_differ_by_use() -> None:
    assert len({round_seed(0, 0), round_seed(0, 1), round_seed(1, 0), derived_seed(0, "pass", 0)}) == 4


def test_a_round_is_the_protocol_written_out() -> None:
    """Weights after four passes equal those of a loop written from the protocol alone."""
    train, test = small_sets(150)
    protocol = Protocol(epochs=3, batch_size=64)
    engine = build_engine("reference", train, SMALL.classes, protocol)
    losses: list[float] = []
    done = train_round(
        engine, test, SMALL.classes, protocol, 7, after_step=lambda _, loss, __: losses.append(float(loss))
    )

    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (SMALL.mean, SMALL.std))
    images = (torch.from_numpy(small_train(150).images).float() / 255 - mean) / std
    labels = torch.from_numpy(small_train(150).labels)
    net = seeded_convnet(10, 16, 7)
    weights = list(net.parameters())
    rate, velocity = 0.01, [torch.zeros_like(w) for w in weights]
    expected_losses = []
    for index in (0, 1, 2, 3):
        for at, drawn in draw_pass(7, index, 150, 64).batches():
            loss = F.cross_entropy(net(augment(images[at], drawn)), labels[at])
            for w, v, g in zip(weights, velocity, torch.autograd.grad(loss, weights), strict=True):
                v.mul_(0.9).add_(g + 5e-4 * w.detach())
                w.data.sub_(rate * v)
            expected_losses.append(loss.item())
        if index == 3 // 2 + 1:
            rate, velocity = 0.001, [torch.zeros_like(w) for w in weights]

    # training amplifies rounding: the two sum in different orders
    assert losses == pytest.approx(expected_losses, rel=1e-4)
    initial = dict(seeded_convnet(10, 16, 7).named_parameters())
    for name, weight in net.named_parameters():
        if name.endswith(".0.bias"):
            continue  # the norm behind a convolution cancels its bias: what moves it is rounding alone
        change = weight.detach() - initial[name].detach()
        off = engine.state()[f"weight.{name}"] - weight.detach()
        assert float(off.norm() / change.norm()) < 3e-3, name
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

        train_round(build_engine(engine, train, 10, protocol), test, 10, protocol, seed, after_step=listen)
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

    whole = build_engine(engine, train, 10, protocol)
    expected = train_round(whole, test, 10, protocol, 5, after_step=keep)
    assert [state.steps_done for state in states] == list(range(1, 17))
    # 3: within a pass; 4: between passes; 12: where the rate drops; 14: after it; 16: all steps done.
    for state in (states[step - 1] for step in (3, 4, 12, 14, 16)):
        again = build_engine(engine, train, 10, protocol)
        resumed = train_round(again, test, 10, protocol, 5, resume=state)
        assert resumed.accuracy == expected.accuracy
        assert all(torch.equal(again.state()[name], tensor) for name, tensor in whole.state().items())


def test_unknown_engine() -> None:
    with pytest.raises(ValueError, match="choose one of: fast, reference"):
        build_engine("turbo", small_sets()[0], 10, Protocol())


def test_draw_of_a_step_is_applied_to_its_own_images() -> None:
    draws = draw_pass(9, 0, 10, 4)
    by_step = [drawn for _, drawn in draws.batches()]
    assert torch.equal(torch.cat([drawn.uniforms for drawn in by_step], dim=1), draws.uniforms)
    assert [drawn.uniforms.shape[1] for _, drawn in draws.batches(first=1)] == [4, 2]
    assert isinstance(by_step[0], Draw)
