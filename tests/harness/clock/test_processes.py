from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.clock.processes import (
    children,
    find_folder,
    kill_descendants,
    kill_until,
    living_descendants,
    make_cgroup,
    oom_kills,
    subreaper,
)
from tests.harness.clock.clocked import Scene, can_make_cgroups, wait_until
from tests.harness.clock.escapes import ESCAPES

HYBRID = [
    "30 29 0:30 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755",
    "31 30 0:31 / /sys/fs/cgroup/cpu,cpuacct rw shared:1 - cgroup cgroup rw,cpu,cpuacct",
    "32 30 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
    "33 30 0:33 / /sys/fs/cgroup/unified rw,relatime shared:2 - cgroup2 cgroup2 rw",
]
UNIFIED = ["31 30 0:31 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"]


@pytest.fixture
def root(scene: Scene) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose only child lives on when its first thread has ended."""
    program = "import os, time\nif os.fork():\n    time.sleep(60)\n" + ESCAPES["main_thread_ends"]
    with subprocess.Popen([sys.executable, "-S", "-c", program], env=scene.env) as process:
        yield process
        kill_descendants(process.pid)
        process.kill()


def test_a_process_lives_as_long_as_one_of_its_threads(scene: Scene, root: subprocess.Popen[bytes]) -> None:
    scene.wait_for_stamps()
    (child,) = children(root.pid)
    stat = Path(f"/proc/{child}/stat")
    wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "Z", "the first thread goes on")
    assert living_descendants(root.pid) == [child]
    kill_descendants(root.pid)
    wait_until(lambda: living_descendants(root.pid) == [], "a descendant was missed")
    assert children(root.pid) == [child]  # dead, and not collected


def test_who_is_gone_has_no_children() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert children(gone.pid) == []
    assert living_descendants(gone.pid) == []
    kill_descendants(gone.pid)


def test_orphans_come_to_a_subreaper_and_only_inside() -> None:
    with subreaper():
        with subreaper():
            pass
        orphan = make_an_orphan()
        assert orphan in children(os.getpid())
        os.kill(orphan, signal.SIGKILL)
        os.waitpid(orphan, 0)
    orphan = make_an_orphan()
    assert orphan not in children(os.getpid()) or os.getpid() == 1
    os.kill(orphan, signal.SIGKILL)


def make_an_orphan() -> int:
    program = "import os, time\nif child := os.fork(): print(child)\nelse: os.close(1); os.close(2); time.sleep(60)"
    made = subprocess.run([sys.executable, "-S", "-c", program], check=True, capture_output=True, text=True)
    return int(made.stdout)


def test_killing_goes_on_until_it_is_over_with_ever_longer_pauses() -> None:
    pauses: list[float] = []
    strikes: list[float] = []

    def over(pause_s: float) -> bool:
        pauses.append(pause_s)
        return len(strikes) == 12

    assert kill_until(over, lambda: strikes.append(time.monotonic()))
    assert pauses[0] == 0 and pauses == sorted(pauses) and pauses[-1] == 0.05 and len(pauses) == 13


def test_nothing_is_struck_where_it_is_over_already() -> None:
    assert kill_until(lambda pause_s: True, lambda: pytest.fail("there is nothing to kill"))


def test_killing_is_given_up_in_time() -> None:
    strikes: list[int] = []
    assert not kill_until(lambda pause_s: False, lambda: strikes.append(1), time.monotonic() + 0.05)
    assert strikes


@pytest.mark.parametrize(
    ("memberships", "mounts", "controller", "folder"),
    [
        (["4:memory:/jobs/7", "1:cpu,cpuacct:/", "0::/"], HYBRID, "", "/sys/fs/cgroup/unified"),
        (["4:memory:/jobs/7", "1:cpu,cpuacct:/", "0::/"], HYBRID, "memory", "/sys/fs/cgroup/memory/jobs/7"),
        (["4:memory:/jobs/7", "1:cpu,cpuacct:/", "0::/"], HYBRID, "cpuacct", "/sys/fs/cgroup/cpu,cpuacct"),
        (["0::/user.slice/session-1.scope"], UNIFIED, "", "/sys/fs/cgroup/user.slice/session-1.scope"),
        (["0::/user.slice/session-1.scope"], UNIFIED, "memory", None),
        # A container that sees its own part of the host's tree.
        (["0::/docker/abc"], ["9 8 0:3 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup ro"], "", "/sys/fs/cgroup"),
        (["0::/docker/abc"], ["9 8 0:3 /docker/other /mnt rw - cgroup2 cgroup rw"], "", None),
        # A group above the root of the process's cgroup namespace.
        (["0::/../outside"], UNIFIED, "", None),
        (["0::/a b"], ["9 8 0:3 / /mnt\\040point rw - cgroup2 cgroup rw"], "", "/mnt point/a b"),
        ([], UNIFIED, "", None),
        (["0::/"], [], "", None),
    ],
)
def test_the_folder_of_a_group_is_found_through_the_mounts(
    memberships: list[str], mounts: list[str], controller: str, folder: str | None
) -> None:
    assert find_folder(memberships, mounts, controller) == (Path(folder) if folder else None)


def test_a_cgroup_is_made_joined_killed_and_removed() -> None:
    if not can_make_cgroups():
        pytest.skip("no control group with cgroup.kill can be made on this machine")
    cgroup = make_cgroup()
    assert cgroup is not None
    try:
        assert cgroup.can_be_joined()
        inside = subprocess.Popen(["sleep", "60"], preexec_fn=cgroup.join)
        (cgroup.folder / "made by the generator").mkdir()
        assert str(inside.pid) in (cgroup.folder / "cgroup.procs").read_text().split()
        cgroup.kill()
        assert inside.wait(20) == -9
    finally:
        cgroup.remove()
    assert not cgroup.folder.exists()


def test_a_cgroup_that_nobody_may_join_is_told() -> None:
    if not can_make_cgroups():
        pytest.skip("no control group with cgroup.kill can be made on this machine")
    cgroup = make_cgroup()
    assert cgroup is not None
    cgroup.remove()
    assert not cgroup.can_be_joined()


def test_out_of_memory_kills_are_counted_or_unknown() -> None:
    count = oom_kills()
    assert count is None or count >= 0
    if "oom_kill " in Path("/proc/vmstat").read_text():
        assert count is not None
