"""The progress display: lines with the time remaining where there is no terminal, a bar where there is one."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from evaluation.base import progress_bar as module
from evaluation.base.progress_bar import progress_bar


def test_without_a_terminal_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Console(file=io.StringIO(), width=200)
    with progress_bar("Training [x]", shown) as update:
        update(0.1, "too early for a line")
        monkeypatch.setattr(module, "LINE_EVERY_S", 0.0)
        time.sleep(0.02)
        update(0.2, "loss 3.000")
        update(1.0, "loss 2.000")
    assert isinstance(shown.file, io.StringIO)
    start, first, last = shown.file.getvalue().splitlines()
    assert start == "Training [x] ..."
    assert first.startswith("Training [x]: loss 3.000, ")
    assert first.endswith(" s left")
    assert last == "Training [x]: loss 2.000"


def test_time_remaining_is_of_the_work_since_the_first_update(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that is resumed at nine tenths has not done nine tenths in no time."""
    monkeypatch.setattr(module, "LINE_EVERY_S", 0.0)
    shown = Console(file=io.StringIO(), width=200)
    with progress_bar("Training", shown) as update:
        update(0.9, "resumed")
        time.sleep(0.1)
        update(0.901, "going on")
    assert isinstance(shown.file, io.StringIO)
    seconds = float(shown.file.getvalue().splitlines()[-1].split(", ")[1].split()[0])
    assert seconds >= 9  # 99 more thousandths at ten a second


def test_work_that_reports_nothing_is_seen_to_go_on() -> None:
    quiet, drawn = Console(file=io.StringIO(), width=120), Console(file=io.StringIO(), force_terminal=True, width=120)
    for console in (quiet, drawn):
        with progress_bar("Loading", console):
            time.sleep(0.3)
    assert isinstance(quiet.file, io.StringIO)
    assert isinstance(drawn.file, io.StringIO)
    assert quiet.file.getvalue() == "Loading ...\n"
    assert drawn.file.getvalue().count("Loading") >= 2  # drawn again and again, with a spinner that turns


def test_on_a_terminal_there_is_a_bar() -> None:
    shown = Console(file=io.StringIO(), force_terminal=True, width=120)
    with progress_bar("Training", shown) as update:
        update(0.5, "loss 3.000")
    assert isinstance(shown.file, io.StringIO)
    assert "━" in shown.file.getvalue()
    assert "loss 3.000" in shown.file.getvalue()
