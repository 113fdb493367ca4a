"""How many processes and threads a stranger's program may have, so that it is dead soon after the deadline.

It is part of the guard: the standard library only.
"""

import os
import resource
from contextlib import suppress
from dataclasses import dataclass

from harness.clock.cgroup import Cgroup

_PROCESSES, _PROCESSES_A_CORE = 256, 64
_MORE_THAN_ANY_USER_HAS = 1 << 22  # the kernel's own limit on processes


@dataclass(frozen=True)
class ProcessLimit:
    """How many processes and threads the generator can have is limited by a control group or by a limit of its user."""

    group: Cgroup | None = None
    of_user: int | None = None

    @classmethod
    def of(cls, group: Cgroup | None, most: int) -> "ProcessLimit":
        """At most so many, by `group` where it can be joined."""
        if group and group.can_be_joined():
            return cls(group=group)
        others = count_processes()
        return cls() if others is None else cls(of_user=others + most)

    def __bool__(self) -> bool:
        return self.group is not None or self.of_user is not None


def most_processes(cores: int) -> int:
    """How many processes and threads a stranger's program may have; libraries start some threads for each core."""
    return _PROCESSES + _PROCESSES_A_CORE * cores


def count_processes() -> int | None:
    """The processes and threads of this user, as the kernel counts them; None where that cannot be told.

    The kernel does not limit root, and a user at his limit cannot start one more.
    It tells nobody the number, so this asks for the smallest limit that allows one more.
    """
    too_few, enough = 0, 1
    if _can_fork(too_few):
        return None
    while not _can_fork(enough):
        if enough > _MORE_THAN_ANY_USER_HAS:
            return None
        too_few, enough = enough, 2 * enough
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        too_few, enough = (too_few, middle) if _can_fork(middle) else (middle, enough)
    return enough - 2  # the one that asked, and the one more


def _can_fork(limit: int) -> bool:
    """Whether a process can start another under a limit on the processes of its user."""
    pid = os.fork()
    if pid == 0:
        with suppress(OSError, ValueError):
            limit_user_processes(limit)
            if another := os.fork():
                os.waitpid(another, 0)
            os._exit(0)
        os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


def limit_user_processes(most: int) -> None:
    """From now on this process can start another only where its user then has at most so many. Raises ValueError."""
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
