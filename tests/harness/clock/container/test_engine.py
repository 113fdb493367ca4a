from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from harness.clock.container import engine
from harness.clock.container.engine import HARNESS_LABEL, UNTIL_LABEL


def test_no_engine_is_one_sentence_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    with pytest.raises(ValueError, match=r"no container engine answers at unix:.*no\.sock.*; start Docker "):
        engine.connect()


def test_what_a_living_harness_owns_is_no_leftover() -> None:
    assert not engine._is_left(engine.labels("run", 0.0))
    assert not engine._is_left({**engine.labels("run", 0.0), UNTIL_LABEL: "1"})


def test_what_a_dead_harness_owned_is_a_leftover_though_its_number_is_used_again() -> None:
    mine = engine.labels("run", 60.0)
    place = mine[HARNESS_LABEL].rpartition("/")[0]
    dead = subprocess.Popen(["true"])
    dead.wait()
    assert engine._is_left({**mine, HARNESS_LABEL: f"{place}/{dead.pid}+1"})
    assert engine._is_left({**mine, HARNESS_LABEL: f"{place}/{os.getpid()}+1"})


def test_what_another_machine_owns_is_left_alone_until_its_time_is_over() -> None:
    theirs = {**engine.labels("run", 60.0), HARNESS_LABEL: "elsewhere/1/2+3"}
    assert not engine._is_left(theirs)
    assert engine._is_left({**theirs, UNTIL_LABEL: f"{time.time() - 1:.0f}"})
    assert not engine._is_left({**theirs, UNTIL_LABEL: "whatever"})


def test_another_process_is_not_taken_for_a_container() -> None:
    assert engine.local_pid({"Pid": os.getpid()}, "f" * 64) is None
    assert engine.local_pid({"Pid": 0}, "") is None
    assert engine.local_pid({"Pid": 1 << 30}, "") is None
