"""What the harness does when the engine is slow; the rest is tested with a real engine (`tests/docker`)."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.clock.container.sandbox import Container
from harness.clock.launch import Launch
from harness.clock.supervisor import Clock


class Slow(Container):
    """A container whose engine takes so many seconds to make each, one after the other."""

    def __init__(self, lead_s: float, takes_s: list[float]) -> None:
        self._lead_s, self._takes_s = lead_s, takes_s
        self.removed: list[float] = []

    def _make_generator(self, launch: Launch) -> Any:
        takes_s = self._takes_s.pop(0)
        time.sleep(takes_s)
        return SimpleNamespace(remove=lambda force: self.removed.append(takes_s))


def launch(clock: Clock) -> Launch:
    return Launch([], {"DEADLINE": repr(clock.deadline)}, Path("/"))


def test_the_clock_starts_when_the_container_was_told_it_would() -> None:
    container = Slow(0.2, [0.0])
    before = time.monotonic()
    clock = container._make_in_time(launch, 5.0)
    assert clock.deadline == clock.started + 5 and before + 0.2 <= clock.started <= time.monotonic()
    assert container.removed == []


def test_a_container_that_was_made_too_late_is_made_again_with_more_time() -> None:
    container = Slow(0.1, [0.15, 0.0])
    clock = container._make_in_time(launch, 5.0)
    assert container.removed == [0.15] and clock.started <= time.monotonic()


def test_an_engine_that_is_too_slow_is_one_sentence() -> None:
    container = Slow(0.01, [0.02, 0.15])
    with pytest.raises(ValueError, match=r"the container engine takes over 0\.1 s to make a container"):
        container._make_in_time(launch, 5.0)
    assert container.removed == [0.02, 0.15], "none is left"
