from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.clock.cgroup import (
    Cgroup,
    find_folder,
    group_of,
    limit_processes,
    make_cgroup,
    oom_kills,
    time_for_dying,
)
from tests.harness.clock.clocked import can_make_cgroups, cgroups_left

HYBRID = [
    "30 29 0:30 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755",
    "31 30 0:31 / /sys/fs/cgroup/cpu,cpuacct rw shared:1 - cgroup cgroup rw,cpu,cpuacct",
    "32 30 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
    "33 30 0:33 / /sys/fs/cgroup/unified rw,relatime shared:2 - cgroup2 cgroup2 rw",
]
UNIFIED = ["31 30 0:31 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"]


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


def test_a_group_that_limits_processes() -> None:
    group = limit_processes(None, 3)
    if group is None:
        pytest.skip("no control group that limits processes can be made on this machine")
    forks = """
import os, time
for number in range(9):
    try:
        if os.fork() == 0:
            time.sleep(60)
    except OSError:
        break
print(number, flush=True)
"""
    try:
        inside = subprocess.Popen([sys.executable, "-S", "-c", forks], preexec_fn=group.join, stdout=subprocess.PIPE)
        assert inside.stdout is not None and inside.stdout.readline() == b"2\n"
        group.kill()
        inside.stdout.close()
        inside.wait()
    finally:
        group.remove()
    assert cgroups_left() == []


def test_time_for_dying_is_given_to_a_group_and_those_above_and_taken_back(tmp_path: Path) -> None:
    group = tmp_path / "docker" / "abc"
    group.mkdir(parents=True)
    times = [folder / "cpu.rt_runtime_us" for folder in (tmp_path, group.parent, group)]
    for time, microseconds in zip(times, (950_000, 0, 0), strict=True):
        time.write_text(f"{microseconds}\n")
    with time_for_dying(Cgroup(group)):
        assert [int(time.read_text()) for time in times] == [950_000, 500_000, 500_000]
    assert [int(time.read_text()) for time in times] == [950_000, 0, 0]


def test_where_groups_have_no_such_times_nothing_is_changed(tmp_path: Path) -> None:
    with time_for_dying(Cgroup(tmp_path)), time_for_dying(None):
        assert list(tmp_path.iterdir()) == []


def test_the_group_of_another_process_is_found_by_its_name() -> None:
    cgroup = make_cgroup()
    if cgroup is None:
        pytest.skip("no control group can be made on this machine")
    try:
        with subprocess.Popen(["sleep", "60"], preexec_fn=cgroup.join) as inside:
            assert group_of(inside.pid, cgroup.folder.name) == cgroup
            assert group_of(inside.pid, "another") is None
            inside.kill()
    finally:
        cgroup.remove()


def test_out_of_memory_kills_are_counted_or_unknown() -> None:
    count = oom_kills()
    assert count is None or count >= 0
    if "oom_kill " in Path("/proc/vmstat").read_text():
        assert count is not None
