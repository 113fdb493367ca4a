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
from harness.clock.processes import Cgroup

# of the log: its beginning and, where a program that crashed says why, its end
HEAD_BYTES = 15 << 20
TAIL_BYTES = 1 << 20
_PIPE_BYTES = 1 << 20  # so that a generator that prints much seldom waits for the guard
_LOOK_FOR_HARNESS_S = 1.0  # its death closes the channel, unless a process that it forked still has it open


class BoundedLog:
    """A log that cannot fill the disk: its first and last bytes, and a sentence for what was cut between.

    `file` is a descriptor open for writing; the tail stays in memory until the log is closed.
    """

    def __init__(self, file: int, head_bytes: int = HEAD_BYTES, tail_bytes: int = TAIL_BYTES) -> None:
        self._file, self._head_bytes, self._tail_bytes = file, head_bytes, tail_bytes
        self._room, self._tail, self._cut = head_bytes, bytearray(), 0

    def write(self, data: bytes) -> None:
        """Add to the log. A full disk cuts the log and raises nothing."""
        head, rest = data[: self._room], data[self._room :]
        self._room -= len(head)
        self._put(head)
        self._tail += rest
        if len(self._tail) > 2 * self._tail_bytes:
            self._shorten()

    def close(self) -> None:
        """Write what was kept in memory, and how much is missing before it."""
        self._shorten()
        if self._cut:
            kept = f"the first {self._head_bytes:,} and the last {self._tail_bytes:,} bytes are kept"
            self._put(f"\n[the harness cut {self._cut:,} bytes of output here; {kept}]\n".encode())
        self._put(bytes(self._tail))

    def _shorten(self) -> None:
        surplus = max(0, len(self._tail) - self._tail_bytes)
        self._cut += surplus
        del self._tail[:surplus]

    def _put(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._file, data) :]
            except OSError:
                self._cut += len(data)
                return


class Channel:
    """JSON objects over a stream socket, one a line."""

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream
        self._received = b""

    def fileno(self) -> int:
        return self._stream.fileno()

    def send(self, **message: object) -> None:
        """Raises OSError when the other side is gone."""
        self._stream.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> dict[str, Any] | None:
        """The next message, waited for; None when the other side has closed or is gone."""
        while b"\n" not in self._received:
            data = b""
            with suppress(ConnectionError):
                data = self._stream.recv(1 << 16)
            if not data:
                return None
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def finish(self) -> None:
        """Say that no more will be sent. The other side's answers can still be received."""
        with suppress(OSError):
            self._stream.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._stream.close()


class Guard:
    """The guard of one generator, inside the guard's process.

    Attributes:
        returncode: of the generator's main process, minus the signal that killed it; None while it lives.
    """

    def __init__(self, channel: Channel, log: BoundedLog, cgroup: Cgroup | None) -> None:
        self._channel, self._log, self._cgroup = channel, log, cgroup
        self.returncode: int | None = None
        self._harness = os.getppid()
        self._child_died = _wake_when_a_child_dies()
        self._output, self._generator_end = os.pipe()
        fcntl.fcntl(self._output, fcntl.F_SETFL, os.O_NONBLOCK)
        with suppress(OSError):  # a user's pipes together have a limit
            fcntl.fcntl(self._output, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def start(self, command: list[str], env: dict[str, str], cwd: str) -> None:
        """Start the generator's main process. Raises OSError, ValueError or SubprocessError."""
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
        if self._cgroup:
            self._cgroup.join()
        with suppress(OSError):  # the kernel has reset it with the guard's priority
            os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, os.getppid()))
        processes.die_with_parent()
        processes.give_up_new_privileges()
        # When memory runs out the kernel should kill the generator, not the harness, which has a record to write.
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")
        signal.pthread_sigmask(signal.SIG_SETMASK, [])

    def watch(self, warn_at: float, deadline: float) -> str:
        """Keep the log until something ends the run: `exited`, `deadline`, or `told` by the harness or its death.

        Times are CLOCK_MONOTONIC seconds; at `warn_at` the main process's group is sent a SIGTERM.
        """
        events = select.poll()
        for descriptor in (self._channel.fileno(), self._child_died, self._output):
            events.register(descriptor, select.POLLIN)
        while True:
            now = time.monotonic()
            if now >= deadline:
                return "deadline"
            if now >= warn_at:
                self._signal_group(signal.SIGTERM)
                warn_at = deadline
            wait_s = min(warn_at - now, _LOOK_FOR_HARNESS_S)
            ready = {descriptor for descriptor, _ in events.poll(wait_s * 1000)}
            if self._output in ready and not self._pump():
                events.unregister(self._output)
            self._collect_the_dead()
            if self.returncode is not None:
                return "exited"
            if self._channel.fileno() in ready or os.getppid() != self._harness:
                return "told"

    def _signal_group(self, number: signal.Signals) -> None:
        """Signal the main process and the group that it leads."""
        if self.returncode is None:  # not collected yet, so no other group can have its number
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._main.pid, number)

    def extinguish(self) -> float:
        """Kill everything until no descendant is left; the CLOCK_MONOTONIC time at which that was so."""

        def over(pause_s: float) -> bool:
            select.select([self._child_died], [], [], pause_s)
            return self._collect_the_dead()

        def strike() -> None:
            self._signal_group(signal.SIGKILL)
            if self._cgroup:
                self._cgroup.kill()
            processes.kill_descendants(os.getpid())

        processes.kill_until(over, strike)
        return time.monotonic()

    def close(self) -> None:
        """Write the rest of the log and remove the cgroup."""
        while self._pump():
            pass
        self._log.close()
        if self._cgroup:
            self._cgroup.remove()

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
            if pid == self._main.pid:
                self.returncode = self._main.returncode = os.waitstatus_to_exitcode(status)


def _wake_when_a_child_dies() -> int:
    """Let in no signal but SIGCHLD; a descriptor that can be read after each."""
    signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals() - {signal.SIGCHLD})
    wake, on_signal = os.pipe()
    for descriptor in (wake, on_signal):
        os.set_blocking(descriptor, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(on_signal, warn_on_full_buffer=False)
    return wake


def main() -> None:
    """Standard input is the channel to the harness, standard output the log; the argument, if any, the cgroup."""
    channel = Channel(socket.socket(fileno=0))
    processes.run_first(children_too=False)
    cgroup = Cgroup(Path(sys.argv[1])) if len(sys.argv) > 1 else None
    joins_cgroup = cgroup is not None and cgroup.can_be_joined()
    channel.send(joins_cgroup=joins_cgroup)
    launch = channel.receive()
    if launch is None:
        if cgroup:
            cgroup.remove()
        return
    with processes.subreaper():
        guard = Guard(channel, BoundedLog(sys.stdout.fileno()), cgroup if joins_cgroup else None)
        try:
            guard.start(launch["command"], launch["env"], launch["cwd"])
        except (OSError, ValueError, subprocess.SubprocessError) as problem:
            channel.send(problem=str(problem))
            return
        cause = guard.watch(launch["warn_at"], launch["deadline"])
        stragglers = len(processes.living_descendants(os.getpid())) if cause == "exited" else 0
        ended = guard.extinguish()
        with suppress(OSError):  # the harness may be dead
            channel.send(cause=cause, ended=ended, returncode=guard.returncode, stragglers=stragglers)
        guard.close()
