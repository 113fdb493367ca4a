"""CUDA is used before the clock on a machine that has just started, and only there."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.gpu import wake


@pytest.mark.parametrize(("driver", "made", "calls"), [(True, False, 1), (True, True, 0), (False, False, 0)])
def test_the_driver_is_woken_where_it_sleeps(
    driver: bool, made: bool, calls: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run: list[Any] = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: run.append(command))
    for name, there in ((wake.DRIVER, driver), (wake.MADE, made)):
        if there:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
    wake.wake_cards(tmp_path)
    assert len(run) == calls
    if run:
        # PyTorch's own start takes seconds
        assert "libcuda" in run[0][-1] and "torch" not in run[0][-1]


def test_a_driver_that_does_not_answer_holds_up_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / wake.DRIVER).parent.mkdir(parents=True)
    (tmp_path / wake.DRIVER).touch()
    monkeypatch.setattr(wake, "_USE_CUDA", "import time; time.sleep(60)")
    monkeypatch.setattr(wake, "WAKES_IN_S", 0.1)
    wake.wake_cards(tmp_path)


def test_a_library_that_is_not_there_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / wake.DRIVER).parent.mkdir(parents=True)
    (tmp_path / wake.DRIVER).touch()
    monkeypatch.setattr(wake, "_USE_CUDA", "import ctypes; ctypes.CDLL('lib-nobody-has.so.1')")
    wake.wake_cards(tmp_path)
