"""Rounds on streams of a stand-in for the card (`fake_cuda.py`): what they wait for, and what they leave."""

from __future__ import annotations

from collections.abc import Callable
from concurrent import futures
from threading import Barrier

import pytest
import torch
from torch import Tensor

from evaluation.judge import streams
from evaluation.judge.draws import draw_pass
from evaluation.judge.dsa import Draw
from evaluation.judge.fast_engine import FastEngine
from evaluation.judge.parallel import RoundSlots
from tests.evaluation.judge.fake_cuda import FakeCuda, Stream
from tests.evaluation.judge.graphed import CARD, PROTOCOL, a_pass, an_engine, assert_same, engine_of_any_kind, use


def test_rounds_in_parallel_have_streams_and_pools_of_their_own_and_the_same_bits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = use(FakeCuda(), monkeypatch)
    all_begun = Barrier(3, timeout=60)
    settings = []

    def trained(number: int) -> tuple[FastEngine, list[float], Stream]:
        engine = engine_of_any_kind(3, seed=number)
        all_begun.wait()
        losses = [loss for index in range(2) for loss in engine.steps(draw_pass(1, index, 28, 8)).tolist()]
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
        assert fake.captures.count(stream) == len(engine.graphed._captured) == 2
        assert stream.waited_for[0] is fake.default_stream() and stream.finished == 1
    assert fake.pools == 3 and len(set(fake.captures)) == 3
    assert fake.current_stream() is fake.default_stream()
    assert settings == [(True, False)] * 3, "no thread takes away what makes another's convolutions repeatable"
    assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32) == before


def test_a_card_is_given_little_work_in_advance(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interruption waits for it; without a limit that would be a thousand graphs."""
    fake = use(FakeCuda(), monkeypatch)
    engine = engine_of_any_kind(2)
    for index in range(3):
        engine.steps(draw_pass(1, index, len(engine.train), PROTOCOL.batch_size))
    assert (fake.waiting, fake.most_waiting) == (2, 3)


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


def test_a_cards_memory_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = use(FakeCuda(), monkeypatch)
    streams.release(torch.device("cpu"))
    assert fake.emptied == []
    streams.release(CARD[1])
    assert fake.emptied == [1]


def test_a_card_that_gives_no_memory_back_costs_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed capture PyTorch before 2.13 refuses; after an illegal access a card refuses all."""
    fake = use(FakeCuda(), monkeypatch)

    def refuse() -> None:
        raise RuntimeError("captures_underway.empty() INTERNAL ASSERT FAILED\nat a place")

    monkeypatch.setattr(fake, "empty_cache", refuse)
    with pytest.warns(UserWarning, match=r"memory of the card is not given back \(captures_underway.* FAILED\)$"):
        streams.release(CARD[0])
