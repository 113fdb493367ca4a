"""Control groups: of our own, to kill all that is inside at one stroke; and where a process's groups can be seen.

Linux and the standard library only.
"""

import os
import re
import secrets
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from harness.clock.processes import let_die_first

_REMOVE_WITHIN_S = 1.0
_TIME_FOR_DYING_US = str(500_000)  # of each second on each core


@dataclass(frozen=True)
class Cgroup:
    """A control group of our own, by its folder in the cgroup file system."""

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
        """Kill every process inside, and let them die first. With version 2 no fork under way escapes."""
        try:
            (self.folder / "cgroup.kill").write_text("1")
        except OSError:
            for process in self._listed("cgroup.procs"):
                with suppress(OSError):
                    os.kill(process, signal.SIGKILL)
        let_die_first(self._listed("cgroup.threads") or self._listed("tasks"))  # of version 2 and of version 1

    def _listed(self, file: str) -> list[int]:
        """The processes or threads in one of its files; none where it has no such file."""
        with suppress(OSError):
            return list(map(int, (self.folder / file).read_text(encoding="ascii").split()))
        return []

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
    cgroup = _make_below("")
    if cgroup and not os.access(cgroup.folder / "cgroup.kill", os.W_OK):
        cgroup.remove()
        return None
    return cgroup


def limit_processes(cgroup: Cgroup | None, most: int) -> Cgroup | None:
    """A control group with at most so many processes and threads; None where there can be none.

    It is `cgroup` itself, where its controllers can count, else a new one of version 1.
    """
    limited = cgroup if cgroup and (cgroup.folder / "pids.max").exists() else _make_below("pids")
    if limited is None:
        return None
    try:
        (limited.folder / "pids.max").write_text(str(most))
    except OSError:
        if limited is not cgroup:
            limited.remove()
        return None
    return limited


def group_of(pid: int, name: str, controllers: Sequence[str] = ("", "pids")) -> Cgroup | None:
    """The control group of another process under the first of the controllers where its name holds `name`."""
    memberships, mounts = _lines(f"/proc/{pid}/cgroup"), _lines("/proc/self/mountinfo")
    for controller in controllers:
        folder = find_folder(memberships, mounts, controller)
        if folder and name in folder.name and folder.exists():
            return Cgroup(folder)
    return None


@contextmanager
def time_for_dying(group: Cgroup | None) -> Iterator[None]:
    """Inside, the dead of a version 1 group can be let die first; by default such a group has no time for that.

    Args:
        group: by its folder under the controller `cpu`; the groups above it have to give it the time.
    """
    with ExitStack() as afterwards:
        for folder in (*reversed(group.folder.parents), group.folder) if group else ():
            time_us = folder / "cpu.rt_runtime_us"
            with suppress(OSError):
                if int(time_us.read_text(encoding="ascii")) == 0:
                    time_us.write_text(_TIME_FOR_DYING_US)
                    afterwards.callback(_take_back, time_us)
        yield


def _take_back(time_us: Path) -> None:
    with suppress(OSError):  # the group is gone, or another harness has need of it
        time_us.write_text("0")


def _make_below(controller: str) -> Cgroup | None:
    """A new, empty control group under this process's own, where that is permitted."""
    parent = _own_folder(controller)
    if parent is None:
        return None
    cgroup = Cgroup(parent / f"submission-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        cgroup.folder.mkdir()
    except OSError:
        return None
    return cgroup


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
