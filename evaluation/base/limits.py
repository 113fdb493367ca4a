"""What this process may use of the machine: cores and memory, as its control groups allow.

A container that is started with `--cpus 2 --memory 8g` still sees all of the machine in /proc and by its affinity; the
quota stands in files of its control group or of one above it, in both versions of control groups.
"""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

# A limit that is not set reads as `max`, `-1` or, for memory in the first version, as about 2**63.
_NO_LIMIT = 2**60


def usable_cores(root: Path = Path("/")) -> int:
    """Cores that this process may keep busy, at least 1; a quota of 1.5 cores counts as 2. `root`: for tests."""
    quotas = [_quota(folder) for folder in (*_groups("cpu", root), *_groups("", root))]
    return min([len(os.sched_getaffinity(0)), *(max(1, math.ceil(quota)) for quota in quotas if quota is not None)])


def total_memory(root: Path = Path("/")) -> int:
    """Bytes of memory that this process and its like may hold: the machine's or the lowest limit. `root`: for tests."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical, *(limit for limit, _ in _memory(root))])


def available_memory(root: Path = Path("/")) -> int | None:
    """Bytes of memory that are still to be had; None where the system does not say. `root`: for tests."""
    found = [max(0, limit - used) for limit, used in _memory(root)]
    with suppress(OSError, ValueError):
        lines = (root / "proc/meminfo").read_text(encoding="ascii").splitlines()
        found += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return min(found, default=None)


def limit_threads() -> None:
    """Let numerical libraries start as many threads as there are usable cores; call it before they are imported.

    They would start one for every core of the machine, and wait for each other out of their quota.
    """
    if (cores := usable_cores()) < len(os.sched_getaffinity(0)):
        os.environ.setdefault("OMP_NUM_THREADS", str(cores))


def _quota(group: Path) -> float | None:
    """Cores that a control group allows, None for any number."""
    with suppress(OSError, ValueError):
        quota, period = (group / "cpu.max").read_text(encoding="ascii").split()
        return int(quota) / int(period) if quota != "max" else None
    with suppress(OSError, ValueError):
        quota_us = int((group / "cpu.cfs_quota_us").read_text(encoding="ascii"))
        return quota_us / int((group / "cpu.cfs_period_us").read_text(encoding="ascii")) if quota_us > 0 else None
    return None


def _memory(root: Path) -> Iterator[tuple[int, int]]:
    """Limit and use, in bytes, of each control group that limits memory. File pages that can be dropped are no use."""
    for group in (*_groups("memory", root), *_groups("", root)):
        for limit_file, used_file, droppable in (
            ("memory.max", "memory.current", "inactive_file "),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "),
        ):
            with suppress(OSError, ValueError):  # not of this version, or `max`
                limit = int((group / limit_file).read_text(encoding="ascii"))
                used = int((group / used_file).read_text(encoding="ascii"))
                stat = (group / "memory.stat").read_text(encoding="ascii").splitlines()
                used -= sum(int(line.split()[1]) for line in stat if line.startswith(droppable))
                if limit < _NO_LIMIT:
                    yield limit, used


def _groups(controller: str, root: Path) -> Iterator[Path]:
    """This process's control group for `controller` ("" in the second version) and those above it, where mounted."""
    for mount, mounted in _mounts(controller, root):
        with suppress(OSError):
            for line in (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines():
                _, controllers, path = line.split(":", 2)
                if controller not in controllers.split(","):
                    continue
                # Of a container usually only its own group is mounted: its path is then the root of the mount.
                inside = Path(path).relative_to(mounted) if Path(path).is_relative_to(mounted) else Path()
                yield from (root / mount.lstrip("/") / above for above in (inside, *inside.parents))


def _mounts(controller: str, root: Path) -> Iterator[tuple[str, str]]:
    """Where `controller` is mounted, and which group lies there."""
    with suppress(OSError):
        for line in (root / "proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
            before, _, after = line.partition(" - ")
            mounted, mount = before.split()[3:5]
            kind, _, options = after.split(maxsplit=2)
            if kind == "cgroup2" if controller == "" else kind == "cgroup" and controller in options.split(","):
                yield mount, mounted
