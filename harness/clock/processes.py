"""Process trees: who descends from whom, and how to kill them all and see them dead soon.

Linux and the standard library only.
"""

import ctypes
import math
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# From linux/prctl.h.
_SET_PARENT_DEATH_SIGNAL = 1
_SET_CHILD_SUBREAPER = 36
_GET_CHILD_SUBREAPER = 37
_SET_NO_NEW_PRIVILEGES = 38

_SHORTEST_PAUSE_S = 0.001
_LONGEST_PAUSE_S = 0.05

# Of SCHED_FIFO: those that were killed run before all ordinary processes, and who watches over them before those.
_DYING_PRIORITY, _WATCHING_PRIORITY = 1, 2
_FIRST_OF_ORDINARY = -20  # nice

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
        os.sched_setscheduler(0, policy, os.sched_param(_WATCHING_PRIORITY))


def let_die_first(threads: Iterable[int]) -> None:
    """Let the kernel run threads that were killed before ordinary ones, where we may ask for that.

    A process needs its turn on a core to die: on a busy machine it would wait for it, with its memory.
    """
    for thread in threads:
        with suppress(OSError):
            try:
                os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(_DYING_PRIORITY))
            except PermissionError:  # not in a control group that has no time for such
                os.setpriority(os.PRIO_PROCESS, thread, _FIRST_OF_ORDINARY)


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
    """Kill the descendants of `root`, each as soon as it is seen, the youngest first; then let them die first."""
    to_visit, killed = [root], list[int]()
    while to_visit:
        for child in reversed(children(to_visit.pop())):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGKILL)
                killed.append(child)
            to_visit.append(child)
    for process in killed:
        with suppress(OSError):
            let_die_first(map(int, os.listdir(f"/proc/{process}/task")))  # noqa: PTH208


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


def _prctl(option: int, argument: object) -> None:
    if _libc.prctl(option, argument, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl({option}): {os.strerror(code)}")
