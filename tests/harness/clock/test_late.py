from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.clock.late import STAMPS_LAG_S, last_moment, remove_late
from harness.clock.supervisor import Ending
from tests.harness.clock.clocked import Scene


def ending(deadline: float) -> Ending:
    """Of a run of a minute that was killed at `deadline`, CLOCK_MONOTONIC seconds."""
    started = deadline - 60
    started_at = datetime.now(UTC) - timedelta(seconds=time.monotonic() - started)
    return Ending(started, deadline, deadline + 0.01, started_at, "deadline", 0.01, -9, False, 0, "process")


def test_what_is_changed_after_the_deadline_is_removed_whatever_time_it_claims(tmp_path: Path) -> None:
    folder = tmp_path / "images" / "000"
    folder.mkdir(parents=True)
    for name in ("whole", "renamed", "touched"):
        (folder / name).write_bytes(b"in time")
    time.sleep(0.1)
    killed = ending(time.monotonic())
    time.sleep(0.1)
    (folder / "late").write_bytes(b"late")
    (folder / "renamed").rename(folder / "new name")
    for name in ("late", "touched", "new name"):
        os.utime(folder / name, (1000.0, 1000.0))
    assert remove_late(folder.parent, last_moment(killed, tmp_path)) == 3
    assert [file.name for file in folder.iterdir()] == ["whole"]


def test_nothing_is_late_where_nothing_was_killed_or_the_clock_was_set(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    long_ago = ending(time.monotonic() - 30)
    for harmless in (replace(long_ago, reason="exited"), replace(long_ago, started_at=datetime.now(UTC))):
        assert remove_late(tmp_path, last_moment(harmless)) == 0
    assert remove_late(tmp_path, last_moment(long_ago)) == 1


def test_a_link_in_place_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_bytes(b"")
    (tmp_path / "images").symlink_to(tmp_path / "other")
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "inside").symlink_to(tmp_path / "other")
    long_ago = last_moment(ending(time.monotonic() - 30))
    assert remove_late(tmp_path / "images", long_ago) == 0
    remove_late(tmp_path / "whole", long_ago)
    assert (tmp_path / "other" / "file").exists()


def test_another_machines_clock_is_allowed_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk's clock is simulated by this machine's being an hour behind it."""
    (tmp_path / "file").write_bytes(b"")
    time.sleep(0.1)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() - 3600)
    killed = ending(time.monotonic())
    killed = replace(killed, started_at=killed.started_at - timedelta(hours=1))
    assert last_moment(killed, tmp_path) == pytest.approx(now() - STAMPS_LAG_S, abs=0.05)
    assert remove_late(tmp_path, last_moment(killed, tmp_path)) == 0


def test_no_time_that_a_killed_generator_wrote_is_after_the_deadline(scene: Scene) -> None:
    program = """
import os, time
for number in range(10**9):
    with open(os.path.join(os.environ["SUBMISSION_OUTPUT"], str(number)), "w") as file:
        file.write(f"{time.monotonic()}\\n")
    time.sleep(0.001)
"""
    killed = scene.supervise(program, budget_s=0.5)
    remove_late(scene.output, last_moment(killed, scene.folder))
    assert killed.started < max(scene.stamps()) <= killed.deadline
