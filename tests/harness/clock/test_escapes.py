"""The clock with generators that try to outlive it, on both routes."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from uuid import uuid4

import pytest

from harness.clock.cgroup import find_folder
from harness.clock.sandbox import Isolation, StillAliveError
from harness.clock.supervisor import supervise
from tests.harness.clock.clocked import Scene, can_make_cgroups, cgroups_left, harness_ending, harness_process
from tests.harness.clock.escapes import ESCAPES

UNTIL_THE_DEADLINE = (
    "ignores_signals",
    "double_fork_and_setsid",
    "keeps_forking",
    "fork_storm",
    "stops_itself",
    "main_thread_ends",
    "stops_its_guard",
    "keeps_stopping_its_guard",
    "stops_its_guard_and_fills_its_log",
    "fills_its_log",
)


def own_folder(controller: str) -> Path | None:
    """Where this process's control group of a version 1 controller, or of version 2, is mounted."""
    memberships, mounts = (Path(f"/proc/self/{file}").read_text().splitlines() for file in ("cgroup", "mountinfo"))
    return find_folder(memberships, mounts, controller)


@pytest.mark.parametrize("escape", UNTIL_THE_DEADLINE)
def test_nothing_outlives_the_deadline(scene: Scene, escape: str, isolation: Isolation) -> None:
    ending = scene.supervise(ESCAPES[escape], isolation=isolation)
    assert (ending.reason, ending.isolation) == ("deadline", isolation)
    assert ending.ended > ending.deadline
    assert scene.stamps()
    scene.assert_silent_since(ending.ended)
    assert cgroups_left() == []


def test_the_death_of_the_guard_is_the_end_of_the_generator(scene: Scene, isolation: Isolation) -> None:
    ending = scene.supervise(ESCAPES["kills_its_guard"], budget_s=60, isolation=isolation)
    assert (ending.reason, ending.returncode, ending.killed_after_s) == ("guard_lost", None, None)
    assert ending.ended < ending.deadline - 20
    scene.assert_silent_since(ending.ended)
    assert cgroups_left() == []


def test_the_deadline_holds_while_the_guard_waits_with_the_disk(scene: Scene, isolation: Isolation) -> None:
    """A pipe that nobody reads stands for a disk that does not answer: the guard hangs in its write."""
    log = scene.folder / "pipe"
    os.mkfifo(log)
    held_open = os.open(log, os.O_RDWR)
    try:
        ending = supervise(scene.launch(ESCAPES["fills_its_log"]), budget_s=0.5, log=log, isolation=isolation)
    finally:
        os.close(held_open)
    assert (ending.reason, ending.returncode) == ("deadline", None)
    scene.assert_silent_since(ending.ended)
    assert max(scene.stamps()) < ending.ended - 1  # all were dead when the harness began to wait for the guard
    assert cgroups_left() == []


def test_leaving_the_cgroup_helps_nobody(scene: Scene) -> None:
    if os.geteuid() != 0 or not can_make_cgroups():
        pytest.skip("only root can leave a cgroup, and there must be one to leave")
    ending = scene.supervise(ESCAPES["leaves_its_cgroup"], isolation="cgroup")
    assert ending.reason == "deadline"
    assert len(list(scene.output.iterdir())) == 2
    scene.assert_silent_since(ending.ended)
    assert cgroups_left() == []


def test_our_other_children_are_left_alone(scene: Scene, isolation: Isolation) -> None:
    """Even when the guard is killed and orphans come to the harness, in sessions of their own and in ours."""
    sleep = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
    before = subprocess.Popen(sleep, start_new_session=True)
    during: list[subprocess.Popen[bytes]] = []

    def start_another(elapsed_s: float) -> None:
        if not during:
            during.append(subprocess.Popen(sleep))

    try:
        ending = scene.supervise(ESCAPES["kills_its_guard"], budget_s=60, on_tick=start_another, isolation=isolation)
        assert ending.reason == "guard_lost"
        assert [before.poll(), during[0].poll()] == [None, None]
    finally:
        for process in (before, *during):
            process.kill()
            process.wait()


@pytest.fixture
def freezer() -> Iterator[Path]:
    """A version 1 control group in which a process hears no SIGKILL while it is frozen."""
    folder = (own_folder("freezer") or Path("/nowhere")) / f"ice-{uuid4().hex}"
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("no version 1 freezer can be made on this machine, and nothing else here survives SIGKILL")
    yield folder
    folder.rmdir()


def test_what_cannot_be_killed_is_an_error(
    scene: Scene, isolation: Isolation, freezer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.clock.sandbox._PATIENCE_S", 0.5)
    frozen: list[int] = []

    def freeze(elapsed_s: float) -> None:
        if not frozen:
            scene.wait_for_stamps()
            frozen.extend(scene.survivors())
            (freezer / "cgroup.procs").write_text(str(frozen[0]))
            (freezer / "freezer.state").write_text("FROZEN")

    try:
        with pytest.raises(StillAliveError, match="cannot be killed"):
            scene.supervise(ESCAPES["writes"], on_tick=freeze, isolation=isolation)
        assert scene.survivors() == frozen
    finally:
        (freezer / "freezer.state").write_text("THAWED")
        os.waitpid(frozen[0], 0)  # it has come to us
        for cgroup in cgroups_left():
            cgroup.rmdir()
    assert scene.survivors() == []


@pytest.fixture
def small_memory() -> Iterator[Path]:
    """A control group with little memory, to run a harness in."""
    version_1, version_2 = own_folder("memory"), own_folder("")
    folder = (version_1 or version_2 or Path("/nowhere")) / f"small-{uuid4().hex}"
    limit = folder / ("memory.limit_in_bytes" if version_1 else "memory.max")
    try:
        folder.mkdir()
        limit.write_text(str(120 << 20))
    except OSError:
        if folder.exists():
            folder.rmdir()
        pytest.skip("memory cannot be limited on this machine")
    yield folder
    folder.rmdir()


def test_out_of_memory_takes_the_generator_and_is_told(scene: Scene, small_memory: Path) -> None:
    join = ("sh", "-c", f'echo $$ > "{small_memory}/cgroup.procs" && exec "$@"', "sh")
    with harness_process(scene, ESCAPES["fills_memory"], prefix=join, options={"budget_s": 60}) as harness:
        ending = harness_ending(harness)
    assert (ending["reason"], ending["returncode"], ending["out_of_memory"]) == ("exited", -9, True)


@pytest.mark.slow
def test_fifty_escapes_in_a_row(tmp_path: Path, isolation: Isolation, capsys: pytest.CaptureFixture[str]) -> None:
    """Zero survivors; how late the last process died is printed, not judged."""
    late_ms: dict[str, list[float]] = {}
    for number, escape in enumerate(islice(cycle(UNTIL_THE_DEADLINE), 50)):
        (tmp_path / str(number)).mkdir()
        scene = Scene(tmp_path / str(number))
        ending = scene.supervise(ESCAPES[escape], budget_s=0.4, isolation=isolation)
        assert ending.killed_after_s is not None, escape
        late_ms.setdefault(escape, []).append(ending.killed_after_s * 1e3)
        scene.assert_silent_since(ending.ended)
    with capsys.disabled():
        print(f"\nmilliseconds from the deadline to the last death, {isolation}")
        for escape, times in late_ms.items():
            print(f"  {escape:36s} median {statistics.median(times):6.1f}  max {max(times):6.1f}")
    assert cgroups_left() == []
