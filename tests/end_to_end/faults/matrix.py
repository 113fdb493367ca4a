"""What every planted fault must leave: an outcome with its name, an honest record, no process, a next run unharmed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from uuid import uuid4

import pytest

from evaluation.base.command_line import ExitCode
from harness.clock.ledger import Ledger
from harness.records.record import Record
from harness.report.console import Voice
from harness.run.options import RunOptions
from harness.run.run import Finished, run
from tests.end_to_end.harness_process import marked
from tests.harness.clock.clocked import cgroups_left


@dataclass(frozen=True)
class Fault:
    """A row of the page and a case of the tests.

    Attributes:
        planted: what goes wrong, in words.
        ends: how the run ends: its outcome, or what else is said.
        kept: what is kept of it, in words.
        code: the exit code.
        images: whole images that are counted, at least so many where `more`.
        program: of the function in `faulty.py`, or what else the test plants.
        options: of `RunOptions`, beside.
        slow: whether it belongs to the slow tier.
    """

    planted: str
    ends: str
    kept: str
    code: int = 0
    images: int = 10
    program: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    more: bool = False
    slow: bool = False

    @property
    def case(self) -> Any:
        """As a parameter of a test."""
        name = self.program or self.planted.replace(" ", "_")
        return pytest.param(self, id=name, marks=[pytest.mark.slow] if self.slow else [])


class Row(NamedTuple):
    """A row of the page that a test of its own proves: what is planted, how it ends, what is kept."""

    planted: str
    ends: str
    kept: str


_rows: dict[str, list[Row]] = {}
_Test = TypeVar("_Test", bound=Callable[..., None])


def proves(*rows: Row) -> Callable[[_Test], _Test]:
    """Put the rows that a test proves on the page."""

    def decorate(test: _Test) -> _Test:
        _rows.setdefault(test.__module__, []).extend(rows)
        return test

    return decorate


def rows_of(module: str) -> list[Row]:
    """Of the tests in `module`, in their order."""
    return _rows.get(module, [])


def run_with(folder: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Finished:
    """A whole run on digits, not judged unless asked; nothing of what it has started may be left."""
    mark = uuid4().hex
    monkeypatch.setenv("TEST_MARK", mark)
    how = {"judged": False, "device": "cpu", **options}
    finished = run(RunOptions("digits", out=folder, **how), Voice(as_json=True), [])
    assert not marked(mark), "a process is left"
    assert cgroups_left() == []
    return finished


def check(finished: Finished, fault: Fault) -> None:
    """Outcome, count and clock are as they should be, and stand on disk."""
    record = finished.record
    images = min(record.images, fault.images) if fault.more else record.images
    assert (record.outcome.value, int(finished.exit_code), images) == (fault.ends, fault.code, fault.images)
    assert finished.report.exists()
    saved = finished.report.with_name("record.json") if finished.report.parent != finished.folder else None
    assert Record.load(saved or finished.folder / "record.json") == record
    assert record.clock is not None
    phases: Ledger = record.clock.ledger
    assert phases.total == record.clock.ended - record.clock.started, "a second is not accounted for"
    late = record.clock.ended - record.clock.deadline
    assert phases.killed_after_s == (late if record.clock.ended_by == "clock" and late > 0 else None)
    before = tree(finished.folder)
    time.sleep(0.05)
    assert tree(finished.folder) == before, "something still writes"


def tree(folder: Path) -> list[tuple[str, float]]:
    found = []
    for inside, _, files in os.walk(folder):
        found += [(name, Path(inside, name).lstat().st_ctime) for name in files]
    return sorted(found)


def check_next(folder: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """A well-behaved program beside what the fault has left ends as it always does."""
    after = run_with(folder, monkeypatch, command=command, budget_s=60.0)
    assert (after.record.outcome, after.exit_code, after.record.images) == ("ok", ExitCode.DONE, 10)
