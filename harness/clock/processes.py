"""Process trees and control groups: who descends from whom, and how to kill them all.

Linux and the standard library only.
"""

import ctypes
import math
import os
import re
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

# From linux/prctl.h.
_SET_PARENT_DEATH_SIGNAL = 1
_SET_CHILD_SUBREAPER = 36
_GET_CHILD_SUBREAPER = 37
_SET_NO_NEW_PRIVILEGES = 38

_SHORTEST_PAUSE_S = 0.001
_LONGEST_PAUSE_S = 0.05
_REMOVE_WITHIN_S = 1.0

_libc = ctypes.CDLL(None, use_errno=True)


def can_follow_families() -> bool:
    """Whether this kernel lists a process's children, which everything here needs."""
    return Path(f"/proc/self/task/{os.getpid()}/children").exists()


@contextmanager
def subreaper() -> Iterator[None]:
    """Inside, descendants whose parents have died become children of this process instead of init's."""
    before = ctypes.c_int()
    _prctl(_GET_CHILD_SUBREAPER, ctypes.byref(before))
    _prctl(_SET_CHILD_SUBREAPER, 1)
    try:
        yield
    finally:
        _prctl(_SET_CHILD_SUBREAPER, before.value)


def die_with_parent() -> None:
    """From now on the kernel kills this process when its parent dies."""
    _prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def run_first(*, children_too: bool) -> None:
    """From now on the kernel runs this process before ordinary ones as soon as it wakes, where we may ask for that.

    On a busy machine it would else wake some ten milliseconds after the deadline. It must sleep nearly always.

    Args:
        children_too: whether what it starts, its threads included, inherits that.
    """
    policy = os.SCHED_FIFO if children_too else os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
    with suppress(OSError):
        os.sched_setscheduler(0, policy, os.sched_param(1))


def give_up_new_privileges() -> None:
    """No set-user-id program gives this process or a descendant more rights, so whoever started them can kill them."""
    _prctl(_SET_NO_NEW_PRIVILEGES, 1)


def children(pid: int) -> list[int]:
    """The children of every thread of `pid`, including dead ones that nobody has reaped; none if it is gone."""
    found: list[int] = []
    with suppress(OSError):
        # Not through pathlib: against processes that fork fast, this must be faster.
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
            with suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", "rb") as listing:  # noqa: PTH123
                found += map(int, listing.read().split())
    return found


def kill_until(over: Callable[[float], bool], strike: Callable[[], None], give_up: float = math.inf) -> bool:
    """Strike until it is over; whether it was in time. One strike can miss a process that forks faster than it is seen.

    Args:
        over: whether nothing is left to kill; it may wait for that as long as it is told, in seconds. Called first
            with 0, then after each strike with a pause that grows from 1 to 50 ms.
        strike: kills what there is.
        give_up: CLOCK_MONOTONIC seconds after which no more is tried.
    """
    pause_s = 0.0
    while not over(pause_s):
        if time.monotonic() > give_up:
            return False
        strike()
        pause_s = min(max(_SHORTEST_PAUSE_S, 1.5 * pause_s), _LONGEST_PAUSE_S)
    return True


def kill_descendants(root: int) -> None:
    """Kill the descendants of `root`, each as soon as it is seen, the youngest first."""
    to_visit = [root]
    while to_visit:
        for child in reversed(children(to_visit.pop())):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGKILL)
            to_visit.append(child)


def living_descendants(root: int) -> list[int]:
    """The descendants of `root` of which a thread still runs."""
    found: list[int] = []
    to_visit = [root]
    while to_visit:
        family = children(to_visit.pop())
        found += filter(_lives, family)
        to_visit += family
    return found


def _lives(pid: int) -> bool:
    """A dead process waits to be reaped in state Z; so does one whose first thread ended before the others."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return False
    state, threads = fields[0], int(fields[17])
    return state not in (b"Z", b"X") or threads > 1


@dataclass(frozen=True)
class Cgroup:
    """A version 2 control group of our own, by its folder in the cgroup file system."""

    folder: Path

    def join(self) -> None:
        """Move this process in; what it starts from now on is born inside. Raises OSError where that is forbidden."""
        (self.folder / "cgroup.procs").write_text("0")

    def can_be_joined(self) -> bool:
        """Whether a process may move in, tried with one that ends at once."""
        pid = os.fork()
        if pid == 0:
            with suppress(OSError):
                self.join()
                os._exit(0)
            os._exit(1)
        return os.waitpid(pid, 0)[1] == 0

    def kill(self) -> None:
        """Kill every process inside at once; a fork under way does not escape."""
        with suppress(OSError):
            (self.folder / "cgroup.kill").write_text("1")

    def remove(self) -> None:
        """Remove the empty group, and those that were made inside it."""
        give_up = time.monotonic() + _REMOVE_WITHIN_S
        while self.folder.exists():
            for folder, _, _ in os.walk(self.folder, topdown=False):
                with suppress(OSError):  # busy for the moment in which its last process is taken down
                    Path(folder).rmdir()
            if time.monotonic() > give_up:
                return
            time.sleep(0.001)


def make_cgroup() -> Cgroup | None:
    """A new, empty control group under this process's own; None where this is not permitted or has no cgroup.kill."""
    parent = _own_folder("")
    if parent is None:
        return None
    cgroup = Cgroup(parent / f"submission-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        cgroup.folder.mkdir()
    except OSError:
        return None
    if os.access(cgroup.folder / "cgroup.kill", os.W_OK):
        return cgroup
    cgroup.remove()
    return None


def oom_kills() -> int | None:
    """How often the kernel has killed for want of memory: in our memory group, else on the whole machine.

    None where nothing counts them.
    """
    sources: list[Path] = []
    for controller, file in (("", "memory.events"), ("memory", "memory.oom_control")):
        if folder := _own_folder(controller):
            sources.append(folder / file)
    for source in (*sources, Path("/proc/vmstat")):
        with suppress(OSError):
            if count := re.search(r"^oom_kill (\d+)$", source.read_text(), re.MULTILINE):
                return int(count[1])
    return None


def _own_folder(controller: str) -> Path | None:
    return find_folder(_lines("/proc/self/cgroup"), _lines("/proc/self/mountinfo"), controller)


def find_folder(memberships: list[str], mounts: list[str], controller: str) -> Path | None:
    """Where a process's control group can be seen, None where it cannot.

    Args:
        memberships: the lines of /proc/PID/cgroup, as `4:memory:/path`, and `0::/path` for version 2.
        mounts: the lines of /proc/PID/mountinfo, as `41 31 0:38 /root /mount/point options - type source options`.
        controller: one of version 1, as `memory`; empty for the one tree of version 2.
    """
    path = _path_in_tree(memberships, controller)
    if path is None:
        return None
    for line in mounts:
        place, _, kind = line.partition(" - ")
        file_system, _, options = kind.split(" ")[:3]
        is_tree = controller in options.split(",") if controller else file_system == "cgroup2"
        root, mount_point = (_unescape(field) for field in place.split(" ")[3:5])
        if is_tree and file_system.startswith("cgroup") and path.is_relative_to(root):
            return Path(mount_point) / path.relative_to(root)
    return None


def _path_in_tree(memberships: list[str], controller: str) -> PurePosixPath | None:
    for line in memberships:
        _, controllers, path = line.split(":", 2)
        # A group above what this process may see is written with `..`.
        if controller in controllers.split(",") and ".." not in PurePosixPath(path).parts:
            return PurePosixPath(path)
    return None


def _lines(file: str) -> list[str]:
    try:
        return Path(file).read_text(errors="surrogateescape").splitlines()
    except OSError:
        return []


def _unescape(field: str) -> str:
    """mountinfo writes a space in a path as a backslash and three octal digits."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _prctl(option: int, argument: object) -> None:
    if _libc.prctl(option, argument, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl({option}): {os.strerror(code)}")
