"""The guard: a small process between the harness and a generator, which outlives the harness just long enough.

It starts the generator, writes its log and reaps its dead processes. It kills all its descendants when the generator's
main process has ended, at the deadline, and when the harness says so, dies or is killed. Orphans become its children
(it is a child subreaper), so when it has no child left, nothing of the generator is left.

`sandbox` starts it and talks to it. It runs without site packages: the standard library only, and little of it.
"""

import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.clock import processes
from harness.clock.bounded_log import BoundedLog
from harness.clock.cgroup import Cgroup
from harness.clock.channel import Channel
from harness.clock.process_limit import ProcessLimit, limit_user_processes

_PIPE_BYTES = 1 << 20  # so that a generator that prints much seldom waits for the guard
# Appended, so that the standard library comes first and no file here hides one of its modules.
_START_CONFINEMENT = "import sys; sys.path.append(sys.argv.pop(1)); from harness.clock.confinement import main; main()"
_LOOK_FOR_HARNESS_S = 1.0  # its death closes the channel, unless a process that it forked still has it open


class Guard:
    """The guard of one generator, inside the guard's process.

    Attributes:
        returncode: of the generator's main process, minus the signal that killed it; None while it lives.

    A program that is confined is a child of the process of `harness.clock.confinement`, which stands for it here.
    """

    def __init__(self, channel: Channel, log: BoundedLog, cgroup: Cgroup | None, limits: ProcessLimit) -> None:
        self._channel, self._log, self._cgroup, self._limits = channel, log, cgroup, limits
        self.returncode: int | None = None
        self._stragglers: int | None = None
        self._main: subprocess.Popen[bytes] | None = None
        self._confined: Channel | None = None
        self._harness = os.getppid()
        self._child_died = wake_when_a_child_dies()
        self._output, self._generator_end = os.pipe()
        fcntl.fcntl(self._output, fcntl.F_SETFL, os.O_NONBLOCK)
        with suppress(OSError):  # a user's pipes together have a limit
            fcntl.fcntl(self._output, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def confine(self, root: str, hidden: list[str]) -> list[str]:
        """Make ready what will keep the program from other things; the pieces to be had."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._main = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _START_CONFINEMENT, root, json.dumps(hidden)],
                stdin=theirs.fileno(),
                stdout=self._generator_end,
                stderr=self._generator_end,
                start_new_session=True,
                preexec_fn=self._become_generator,
            )
        self._confined = Channel(ours)
        answer = self._confined.receive()
        if answer and answer["confined"] is not None:
            pieces: list[str] = answer["confined"]
            return pieces
        self._main.wait()
        self._main, self._confined = None, None
        return []

    def start(self, command: list[str], env: dict[str, str], cwd: str) -> None:
        """Start the generator's main process. Raises OSError, ValueError or SubprocessError."""
        if self._confined:
            os.close(self._generator_end)
            self._confined.send(command=command, env=env, cwd=cwd)
            answer = self._confined.receive() or {"problem": "what should have confined it died"}
            if "problem" in answer:
                raise OSError(answer["problem"])
            return
        self._main = subprocess.Popen(
            command,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=self._generator_end,
            stderr=self._generator_end,
            start_new_session=True,  # a terminal's Ctrl-C goes to the harness alone
            preexec_fn=self._become_generator,
        )
        os.close(self._generator_end)

    def _become_generator(self) -> None:
        """Runs in the new process before the generator's program does."""
        for group in (self._cgroup, self._limits.group):
            if group:
                group.join()
        if self._limits.of_user is not None:
            limit_user_processes(self._limits.of_user)
        with suppress(OSError):  # the kernel has reset it with the guard's priority
            os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, os.getppid()))
        become_generator()

    def watch(self, warn_at: float, deadline: float) -> str:
        """Keep the log until something ends the run: `exited`, `deadline`, or `told` by the harness or its death.

        Times are CLOCK_MONOTONIC seconds; at `warn_at` the main process's group is sent a SIGTERM.
        """
        events = select.poll()
        for descriptor in (self._channel.fileno(), self._child_died, self._output):
            events.register(descriptor, select.POLLIN)
        if self._confined:
            events.register(self._confined, select.POLLIN)
        while True:
            now = time.monotonic()
            if now >= deadline:
                return "deadline"
            if now >= warn_at:
                self._warn()
                warn_at = deadline
            wait_s = min(warn_at - now, _LOOK_FOR_HARNESS_S)
            ready = {descriptor for descriptor, _ in events.poll(wait_s * 1000)}
            if self._output in ready and not self._pump():
                events.unregister(self._output)
            if self._confined and self._confined.fileno() in ready:
                events.unregister(self._confined)
                self._hear_of_its_end()
            self._collect_the_dead()
            if self.returncode is not None:
                return "exited"
            if self._channel.fileno() in ready or os.getppid() != self._harness:
                return "told"

    def stragglers(self) -> int:
        """Processes that live on though the main process has ended."""
        return len(processes.living_descendants(os.getpid())) if self._stragglers is None else self._stragglers

    def _warn(self) -> None:
        if not self._confined:
            self._signal_group(signal.SIGTERM)
            return
        with suppress(OSError):
            self._confined.send(signal=int(signal.SIGTERM))

    def _hear_of_its_end(self) -> None:
        """What the program's parent says of it; nothing where that was killed."""
        assert self._confined is not None
        if told := self._confined.receive():
            self.returncode, self._stragglers = told["returncode"], told["stragglers"]

    def _signal_group(self, number: signal.Signals) -> None:
        """Signal the main process and the group that it leads."""
        if self._main and self._main.returncode is None:  # not collected yet, so no other group can have its number
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._main.pid, number)

    def extinguish(self) -> float:
        """Kill everything until no descendant is left; the CLOCK_MONOTONIC time at which that was so."""

        def over(pause_s: float) -> bool:
            until = time.monotonic() + pause_s
            while not self._collect_the_dead():
                if (left_s := until - time.monotonic()) <= 0:
                    return False
                select.select([self._child_died], [], [], left_s)  # each death wakes it
            return True

        def strike() -> None:
            self._signal_group(signal.SIGKILL)
            if self._cgroup:
                self._cgroup.kill()
            processes.kill_descendants(os.getpid())

        processes.kill_until(over, strike)
        return time.monotonic()

    def close(self) -> None:
        """Write the rest of the log."""
        while self._pump():
            pass
        self._log.close()

    def _pump(self) -> bool:
        """Move what there is of the generator's output to the log; whether there may be more."""
        try:
            data = os.read(self._output, _PIPE_BYTES)
        except BlockingIOError:
            return False
        self._log.write(data)
        return bool(data)

    def _collect_the_dead(self) -> bool:
        """Whether no child is left, and so no descendant."""
        with suppress(BlockingIOError):
            os.read(self._child_died, 1 << 16)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return False
            if self._main and pid == self._main.pid:
                self._main.returncode = os.waitstatus_to_exitcode(status)
                if self._confined and self.returncode is None:
                    self._hear_of_its_end()
                if self.returncode is None:
                    self.returncode = self._main.returncode


def become_generator() -> None:
    """What a process of the generator does before its program runs."""
    processes.die_with_parent()
    processes.give_up_new_privileges()
    # When memory runs out the kernel should kill the generator, not the harness, which has a record to write.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def wake_when_a_child_dies() -> int:
    """Let in no signal but SIGCHLD; a descriptor that can be read after each."""
    signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals() - {signal.SIGCHLD})
    wake, on_signal = os.pipe()
    for descriptor in (wake, on_signal):
        os.set_blocking(descriptor, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(on_signal, warn_on_full_buffer=False)
    return wake


def main() -> None:
    """Standard input is the channel to the harness, standard output the log; the argument is what to do, as JSON."""
    channel = Channel(socket.socket(fileno=0))
    processes.run_first(children_too=False)
    order = json.loads(sys.argv[1])
    cgroup, limiting = (Cgroup(Path(order[name])) if order[name] else None for name in ("cgroup", "limiting"))
    try:
        with processes.subreaper():
            _guard(channel, order, cgroup, limiting)
    finally:  # the harness does so too, if it lives
        for group in (cgroup, limiting):
            if group:
                group.remove()


def _guard(channel: Channel, order: dict[str, Any], cgroup: Cgroup | None, limiting: Cgroup | None) -> None:
    """Hold one generator from before its start until nothing of it is left."""
    joins_cgroup = cgroup is not None and cgroup.can_be_joined()
    stranger = order["hidden"] is not None
    limit = ProcessLimit.of(limiting, order["most_processes"]) if stranger else ProcessLimit()
    guard = Guard(channel, BoundedLog(sys.stdout.fileno()), cgroup if joins_cgroup else None, limit)
    confined = None
    if stranger:
        pieces = guard.confine(order["root"], order["hidden"])
        confined = [*pieces, *(["process_limit"] if limit else [])] or None
    with suppress(OSError):  # the harness may be dead
        channel.send(joins_cgroup=joins_cgroup, confined=confined)
    launch = channel.receive()
    if launch is None:
        guard.extinguish()
        return
    try:
        guard.start(launch["command"], launch["env"], launch["cwd"])
    except (OSError, ValueError, subprocess.SubprocessError) as problem:
        guard.extinguish()
        channel.send(problem=str(problem))
        return
    cause = guard.watch(launch["warn_at"], launch["deadline"])
    stragglers = guard.stragglers() if cause == "exited" else 0
    ended = guard.extinguish()
    with suppress(OSError):
        channel.send(cause=cause, ended=ended, returncode=guard.returncode, stragglers=stragglers)
    guard.close()
