"""Processes by their family tree: who descends from whom, and how to end them. Linux and the standard library only."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# From linux/prctl.h.
_SET_PARENT_DEATH_SIGNAL = 1
_SET_CHILD_SUBREAPER = 36
_GET_CHILD_SUBREAPER = 37
_SET_NO_NEW_PRIVILEGES = 38

_libc = ctypes.CDLL(None, use_errno=True)


def can_follow_families() -> bool:
    """Whether this kernel tells a process's children, which every function here needs."""
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


def give_up_new_privileges() -> None:
    """No set-user-id program gives this process or a descendant more rights, so whoever started them can kill them."""
    _prctl(_SET_NO_NEW_PRIVILEGES, 1)


def children(pid: int) -> list[int]:
    """The children of every thread of `pid`, the dead that nobody has collected among them; none if it is gone."""
    found: list[int] = []
    with suppress(OSError):
        # Not through pathlib: against processes that fork fast, this must be faster.
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
            with suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", "rb") as listing:  # noqa: PTH123
                found += map(int, listing.read().split())
    return found


def strike(root: int) -> None:
    """Kill the descendants of `root`, each as soon as it is seen, the youngest first.

    One strike can miss a process that forks and exits faster than the tree is walked, so strike until none is left.
    """
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
    """A dead process waits to be collected in state Z; so does one whose first thread ended before the others."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return False
    state, threads = fields[0], int(fields[17])
    return state not in (b"Z", b"X") or threads > 1


def _prctl(option: int, argument: object) -> None:
    if _libc.prctl(option, argument, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl({option}): {os.strerror(code)}")
