"""One generator's guard and, where one can be made, its cgroup; and the end of all its processes.

Two routes. `cgroup`: the kernel kills the whole group at once, then what had left the group is killed as in the other
route. `process`: the process tree below the guard is killed again and again until nothing is left.
"""

import json
import math
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from evaluation.base.limits import usable_cores
from harness.clock import processes
from harness.clock.cgroup import Cgroup, limit_processes, make_cgroup
from harness.clock.channel import Channel
from harness.clock.launch import ROOT, Launch
from harness.clock.process_limit import most_processes

Route = Literal["cgroup", "process"]
Isolation = Literal["cgroup", "process", "container"]  # the routes, and a container of its own

# Appended, so that the standard library comes first and no file here hides one of its modules.
_START_GUARD = "import sys; sys.path.append(sys.argv.pop(1)); from harness.clock.guard import main; main()"
_GUARD_ANSWERS_IN_S = 2.0  # once all is dead; it waits with the disk that holds the log
_GUARD_ENDS_IN_S = 10.0
_PATIENCE_S = 60.0  # a killed process can be held by a disk or a graphics driver


class StillAliveError(RuntimeError):
    """A process of the generator cannot be killed; what it may still write makes the run worthless."""


@dataclass(frozen=True)
class Extinction:
    """How a generator's last process ended; None for what only a guard knew that was killed.

    Attributes:
        ended: CLOCK_MONOTONIC seconds at which nothing was left.
        cause: why the guard ended it.
        returncode: of the main process, minus the signal that killed it.
        stragglers: processes that lived on when the main process had exited.
        out_of_memory: whether memory ran out inside; None where only the kernel's count can tell.
    """

    ended: float
    cause: Literal["exited", "deadline", "told"] | None
    returncode: int | None
    stragglers: int
    out_of_memory: bool | None = None


class Sandbox:
    """One generator's guard and cgroup, seen from the harness."""

    def __init__(
        self, guard: subprocess.Popen[bytes], channel: Channel, cgroup: Cgroup | None, limiting: Cgroup | None
    ) -> None:
        self._guard, self._channel, self._cgroup, self._limiting = guard, channel, cgroup, limiting
        self._not_ours = frozenset(processes.children(os.getpid()))
        self._over = False
        self.confined: tuple[str, ...] | None = None  # what its program is kept from

    @property
    def isolation(self) -> Route:
        return "cgroup" if self._cgroup else "process"

    def fileno(self) -> int:
        """Readable when the generator is over or the guard is gone."""
        return self._channel.fileno()

    def await_guard(self) -> None:
        """Wait until the guard is ready, and give up the cgroup if it may not put anything into it."""
        greeting = self._channel.receive()
        assert greeting is not None, "the guard did not start; the log says why"
        self.confined = None if greeting["confined"] is None else tuple(greeting["confined"])
        if self._cgroup and not greeting["joins_cgroup"]:
            self._cgroup.remove()
            self._cgroup = None

    def start(self, launch: Launch, warn_at: float, deadline: float) -> None:
        """Have the guard start the generator's main process, without waiting for it: from here on the clock rules.

        Args:
            warn_at: CLOCK_MONOTONIC seconds at which the main process's group is sent a SIGTERM; the deadline for none.
            deadline: CLOCK_MONOTONIC seconds at which the guard kills all, should the harness be busy or stopped.
        """
        with suppress(OSError):  # the guard may be dead already, as everywhere below
            what = {"command": list(launch.command), "env": dict(launch.env), "cwd": str(launch.cwd)}
            self._channel.send(**what, warn_at=warn_at, deadline=deadline)

    def extinguish(self) -> Extinction:
        """Kill every process of the generator and wait until none is left.

        Raises:
            ValueError: it could not be started; the sentence says why.
            StillAliveError: one cannot be killed.
        """
        self._over = True
        give_up = time.monotonic() + _PATIENCE_S
        self._channel.finish()
        report = self._strike_until_the_guard_reports(give_up)
        if report is None:
            self._guard.kill()
        self._part_with_the_guard()
        self._strike_orphans(give_up)
        for group in (self._cgroup, self._limiting):
            if group:
                group.remove()
        if report and "problem" in report:
            raise ValueError(f"the generator cannot be started: {report['problem']}; check the command")
        # A guard that is lost takes with it what it knew.
        lost = {"ended": time.monotonic(), "cause": None, "returncode": None, "stragglers": 0}
        return Extinction(**(report or lost))

    def close(self) -> None:
        """Extinguish, unless that has been tried."""
        if not self._over:
            self.extinguish()

    def _strike_until_the_guard_reports(self, give_up: float) -> dict[str, Any] | None:
        """The guard's report; None where it was killed, does not answer, or has what cannot be killed."""
        answers = select.poll()  # select() takes no descriptor above 1023
        answers.register(self._channel, select.POLLIN)
        answer_by = math.inf

        def over(pause_s: float) -> bool:
            return bool(answers.poll(pause_s * 1000)) or time.monotonic() > answer_by

        def strike() -> None:
            nonlocal answer_by
            self._kill_below(self._guard.pid)
            self._guard.send_signal(signal.SIGCONT)  # the generator may have stopped it
            if processes.living_descendants(self._guard.pid):
                answer_by = math.inf
            else:
                answer_by = min(answer_by, time.monotonic() + _GUARD_ANSWERS_IN_S)

        processes.kill_until(over, strike, give_up)
        return self._channel.receive() if answers.poll(0) else None

    def _part_with_the_guard(self) -> None:
        """Let the guard write the end of the log, and collect it."""
        try:
            self._guard.wait(_GUARD_ENDS_IN_S)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()
        self._channel.close()

    def _strike_orphans(self, give_up: float) -> None:
        """Kill what came to the harness from a guard that was killed."""

        def over(pause_s: float) -> bool:
            time.sleep(pause_s)
            return not self._orphans()

        def strike() -> None:
            for orphan in self._orphans():
                with suppress(PermissionError):
                    os.kill(orphan, signal.SIGKILL)
                self._kill_below(orphan)
                os.waitpid(orphan, os.WNOHANG)

        if not processes.kill_until(over, strike, give_up):
            raise StillAliveError(f"processes {self._orphans()} of the generator cannot be killed; kill them by hand")

    def _kill_below(self, root: int) -> None:
        """Kill the cgroup and the descendants of `root`."""
        if self._cgroup:
            self._cgroup.kill()
        processes.kill_descendants(root)

    def _orphans(self) -> list[int]:
        """Our children that came from the guard. No process can return to our session once it has left it."""
        session = os.getsid(0)
        arrived = [pid for pid in processes.children(os.getpid()) if pid not in self._not_ours]
        return [pid for pid in arrived if os.getsid(pid) != session]


@contextmanager
def open_sandbox(
    log: Path, isolation: Route | Literal["auto"], hidden: Sequence[Path] | None = None
) -> Iterator[Sandbox]:
    """A sandbox with its guard running and nothing started. When it closes, nothing of the generator is left.

    Args:
        log: the file to append the generator's output to.
        isolation: the route; `auto` takes the cgroup where one can be made.
        hidden: files and folders that the program is kept from, beside the network, other processes and more of its
            own than `process_limit.most_processes`, as far as the machine allows; None to keep it from nothing.

    Raises:
        ValueError: a cgroup is asked for where none can be made, or the kernel does not show families.
        StillAliveError: a process of the generator cannot be killed.
    """
    if not processes.can_follow_families():
        raise ValueError("the clock needs Linux with /proc/PID/task/TID/children, to find what a generator starts")
    cgroup = make_cgroup() if isolation != "process" else None
    most = most_processes(usable_cores())
    limiting = limit_processes(cgroup, most) if hidden is not None else None
    with processes.subreaper():
        sandbox = Sandbox(*_start_guard(log, cgroup, limiting, most, hidden), cgroup, limiting)
        try:
            sandbox.await_guard()
            if isolation == "cgroup" and sandbox.isolation != "cgroup":
                raise ValueError("no control group with cgroup.kill can be made here; use the isolation `auto`")
            yield sandbox
        finally:
            sandbox.close()


def _start_guard(
    log: Path, cgroup: Cgroup | None, limiting: Cgroup | None, most: int, hidden: Sequence[Path] | None
) -> tuple[subprocess.Popen[bytes], Channel]:
    order = {
        "root": str(ROOT),
        "cgroup": str(cgroup.folder) if cgroup else None,
        "limiting": str(limiting.folder) if limiting else None,
        "most_processes": most,
        "hidden": None if hidden is None else [str(path) for path in hidden],
    }
    ours, theirs = socket.socketpair()
    with theirs, log.open("ab") as log_file:
        guard = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _START_GUARD, str(ROOT), json.dumps(order)],
            stdin=theirs.fileno(),
            stdout=log_file,
            stderr=log_file,
            start_new_session=True,
        )
    return guard, Channel(ours)
