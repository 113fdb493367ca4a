"""A harness that a test of this room starts, and that is gone after it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.faults.harness_at_work import HarnessAtWork, Start


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a harness in the test's folder; none is left after the test."""
    started: list[HarnessAtWork] = []

    def start(*arguments: object, **how: Any) -> HarnessAtWork:
        started.append(HarnessAtWork(tmp_path / "work", [str(each) for each in arguments], **how))
        return started[-1]

    yield start
    for each in started:
        each.close()
