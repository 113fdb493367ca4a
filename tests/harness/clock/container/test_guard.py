"""What the guard makes of an engine that does not answer as Docker does; the rest is tested with a real one."""

from __future__ import annotations

import os
import time
from typing import Any, cast

import pytest
from requests.exceptions import ReadTimeout

from harness.clock.bounded_log import BoundedLog
from harness.clock.container import guard
from harness.clock.container.guard import Generator


class PodmanThatWaitsForEver:
    """Its container ends at once, and a request to wait for that is never answered."""

    api = property(lambda self: self)

    def attach(self, container: str, **how: object) -> list[bytes]:
        return [b"done\n"]

    def start(self, container: str) -> None: ...

    def inspect_container(self, container: str) -> dict[str, Any]:
        return {"State": {"Running": False, "Pid": 0, "ExitCode": 3}}

    def wait(self, container: str, timeout: float) -> None:
        time.sleep(timeout)
        raise ReadTimeout


def test_an_ending_is_seen_though_the_engine_does_not_tell_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "_WAITS_AT_MOST_S", 0.05)
    log = BoundedLog(os.open(os.devnull, os.O_WRONLY))
    generator = Generator(cast(Any, PodmanThatWaitsForEver()), "abc", None, log)
    before = time.monotonic()
    generator.start()
    assert generator.is_over(20) and generator.problem is None
    assert generator.ended is not None and before < generator.ended <= time.monotonic()
    assert generator.ending() == (3, False)
