"""Ceilings have names of their own for each arithmetic, and are timed on the device."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from benchmarks import roofline
from benchmarks.roofline import (
    Ceilings,
    Cost,
    arithmetics,
    best_seconds,
    element_bytes,
    measure_ceilings,
    multiplying,
    training_cost,
)

CARD = torch.device("cuda")


@pytest.mark.parametrize(
    ("arithmetic", "dtype", "rounds"),
    [("bfloat16", torch.bfloat16, False), ("tf32", torch.float32, True), ("float32", torch.float32, False)],
)
def test_each_arithmetic_sets_both_switches_and_leaves_them_as_they_were(
    arithmetic: str, dtype: torch.dtype, rounds: bool
) -> None:
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    with multiplying(arithmetic) as given:
        assert given == dtype and element_bytes(arithmetic) == dtype.itemsize
        assert torch.backends.cuda.matmul.allow_tf32 == torch.backends.cudnn.allow_tf32 == rounds
    assert before == (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32)


def test_ceilings_are_of_what_a_device_has_instructions_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert arithmetics(CARD) == ["bfloat16", "tf32", "float32"]
    for has_them, expected in ((True, ["bfloat16", "float32"]), (False, ["float32"])):
        monkeypatch.setattr(roofline, "has_bfloat16_instructions", lambda has_them=has_them: has_them)
        assert arithmetics(torch.device("cpu")) == expected


def test_a_speed_is_a_fraction_of_its_own_ceiling() -> None:
    ceilings = Ceilings({"float32": 100.0, "tf32": 400.0}, bytes_per_s=1000.0)
    cost = Cost(flop=2.0, bytes=10.0)
    assert ceilings.fraction(cost, 10.0, "float32").roofline == pytest.approx(0.2)
    slower = ceilings.fraction(cost, 10.0, "tf32")
    assert (slower.arithmetic, slower.memory, slower.roofline) == pytest.approx((0.05, 0.1, 0.1))


def test_winograd_takes_a_quarter_of_the_products_between_the_wide_layers() -> None:
    wide = 2 * 9 * 128 * 128 * (16**2 + 8**2)
    plain, fewer = (training_cost(32, 100, name) for name in ("float32", "winograd"))
    assert plain.flop - fewer.flop == 3 * wide * 3 / 4 and plain.bytes == fewer.bytes
    assert training_cost(8, 10, "winograd").flop < training_cost(8, 10, "float32").flop, "its middle layer has 4x4"
    ceilings = Ceilings({"float32": 100.0}, bytes_per_s=1000.0)
    assert ceilings.fraction(Cost(flop=2.0, bytes=1.0), 10.0, "winograd").arithmetic == pytest.approx(0.2)


def test_ceilings_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Callable[[], object]] = []

    def counted(operation: Callable[[], object], device: torch.device, tries: int) -> float:
        calls.append(operation)
        return 2.0

    monkeypatch.setattr(roofline, "best_seconds", counted)
    found = measure_ceilings(torch.device("cpu"), ["float32"])
    assert found.flop_per_s == {"float32": 256 * 256 * 9 * 128**2} and found.bytes_per_s == 2**28 and len(calls) == 3


def test_a_card_is_timed_by_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """Milliseconds between two events, which the card writes; the shortest, without the first call.

    The card is kept busy until all are given: where it waits for a launch, that would be in the time.
    """
    now = iter([1.0, 6.0, 10.0, 13.0, 20.0, 24.0])
    called: list[object] = []

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing

        def record(self, stream: object) -> None:
            self.at = next(now)
            called.append("event")

        def elapsed_time(self, other: Event) -> float:
            return other.at - self.at

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "_sleep", lambda cycles: called.append("busy"))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: "stream")
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    assert best_seconds(lambda: called.append("call"), CARD, tries=3) == pytest.approx(0.003)
    assert called == ["call", "busy", *["event", "call", "event"] * 3]
