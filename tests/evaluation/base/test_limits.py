"""Quotas of control groups, in both versions, as a container and as a host see them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from evaluation.base.limits import available_memory, total_memory, usable_cores

GB = 2**30
HERE = len(os.sched_getaffinity(0))


def system(root: Path, mounts: str, groups: str, files: dict[str, str]) -> Path:
    """A root folder in which this process is in `groups`, and `files` stand below it."""
    every = {"proc/self/mountinfo": mounts, "proc/self/cgroup": groups, "proc/meminfo": "MemAvailable: 8388608 kB\n"}
    for name, text in (every | files).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


V1_MOUNTS = (
    "36 25 0:32 /docker/1a2b /sys/fs/cgroup/cpu,cpuacct ro,relatime - cgroup cgroup rw,cpu,cpuacct\n"
    "37 25 0:33 /docker/1a2b /sys/fs/cgroup/memory ro,relatime - cgroup cgroup rw,memory\n"
    "38 25 0:34 / /sys/fs/cgroup/unified ro,relatime - cgroup2 cgroup rw\n"
)
V1_GROUPS = "5:cpu,cpuacct:/docker/1a2b\n4:memory:/docker/1a2b\n0::/docker/1a2b\n"
V2_MOUNTS = "30 25 0:26 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n"


def test_a_container_of_the_first_version_has_its_own_limits(tmp_path: Path) -> None:
    root = system(
        tmp_path,
        V1_MOUNTS,
        V1_GROUPS,
        {
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{GB}\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{GB // 2}\n",
            "sys/fs/cgroup/memory/memory.stat": f"cache 7\ntotal_inactive_file {GB // 4}\n",
        },
    )
    assert usable_cores(root) == 1
    assert total_memory(root) == GB
    assert available_memory(root) == GB - GB // 4, "file pages that can be dropped are to be had"


def test_a_container_of_the_second_version_has_its_own_limits(tmp_path: Path) -> None:
    root = system(
        tmp_path,
        V2_MOUNTS,
        "0::/\n",
        {
            "sys/fs/cgroup/cpu.max": "40000 100000\n",
            "sys/fs/cgroup/memory.max": f"{GB}\n",
            "sys/fs/cgroup/memory.current": f"{GB}\n",
            "sys/fs/cgroup/memory.stat": "inactive_file 4096\n",
        },
    )
    assert (usable_cores(root), total_memory(root), available_memory(root)) == (1, GB, 4096)


def test_a_limit_of_a_group_above_counts(tmp_path: Path) -> None:
    root = system(
        tmp_path,
        V2_MOUNTS,
        "0::/user.slice/job\n",
        {
            "sys/fs/cgroup/user.slice/job/cpu.max": "max 100000\n",
            "sys/fs/cgroup/user.slice/cpu.max": "100000 100000\n",
            "sys/fs/cgroup/user.slice/job/memory.max": "max\n",
            "sys/fs/cgroup/user.slice/memory.max": f"{GB}\n",
            "sys/fs/cgroup/user.slice/memory.current": "0\n",
            "sys/fs/cgroup/user.slice/memory.stat": "\n",
        },
    )
    assert (usable_cores(root), total_memory(root)) == (1, GB)


@pytest.mark.parametrize(
    ("quota", "cores"), [("-1", HERE), ("10000", 1), (str(HERE * 100_000), HERE), (str(64 * 100_000), HERE)]
)
def test_a_quota_never_gives_more_cores_than_there_are_nor_none(tmp_path: Path, quota: str, cores: int) -> None:
    files = {
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": quota,
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
    }
    assert usable_cores(system(tmp_path, V1_MOUNTS, V1_GROUPS, files)) == cores


def test_without_control_groups_it_is_the_machine(tmp_path: Path) -> None:
    assert usable_cores(tmp_path) == HERE
    assert total_memory(tmp_path) == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert available_memory(tmp_path) is None


def test_no_limit_of_the_first_version_is_no_limit(tmp_path: Path) -> None:
    files = {
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "0\n",
        "sys/fs/cgroup/memory/memory.stat": "",
    }
    root = system(tmp_path, V1_MOUNTS, V1_GROUPS, files)
    assert total_memory(root) > 0 and available_memory(root) == 8 * GB


def test_this_machine_has_memory() -> None:
    available = available_memory()
    assert available is not None and 0 < available <= total_memory()


def test_a_process_under_a_real_quota_knows_it() -> None:
    """In a control group of our own, where one can be made: half a core and 512 MB."""
    cpu, memory = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup/memory")
    if not (os.geteuid() == 0 and (cpu / "cpu.cfs_quota_us").parent.is_dir() and os.access(memory, os.W_OK)):
        pytest.skip("needs root and control groups of the first version")
    name = f"test-limits-{os.getpid()}"
    groups = (cpu / name, memory / name)
    try:
        for group in groups:
            group.mkdir()
        (cpu / name / "cpu.cfs_quota_us").write_text("50000")
        (memory / name / "memory.limit_in_bytes").write_text(str(GB // 2))
        code = (
            "import os, sys\n"
            "for group in sys.argv[1:]: open(group + '/cgroup.procs', 'w').write(str(os.getpid()))\n"
            "from evaluation.base.limits import limit_threads, total_memory, usable_cores\n"
            "os.environ.pop('OMP_NUM_THREADS', None); limit_threads()\n"
            "print(usable_cores(), total_memory(), os.environ.get('OMP_NUM_THREADS'))"
        )
        root = Path(__file__).resolve().parents[3]
        told = subprocess.run(
            [sys.executable, "-c", code, *map(str, groups)], cwd=root, capture_output=True, text=True, check=True
        )
    except OSError as refused:
        pytest.skip(f"no control group can be made: {refused}")
    finally:
        for group in groups:
            if group.is_dir():
                group.rmdir()
    threads = "1" if HERE > 1 else "None"
    assert told.stdout.split() == ["1", str(GB // 2), threads]
