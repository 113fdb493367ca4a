"""The guard of one container: a process between harness and engine, which outlives the harness just long enough.

It starts the container, writes its log, and kills it at the deadline and when the harness says so, dies or is killed.
At its own end it removes all that the run has on the engine. `sandbox` starts it and talks to it.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.clock.bounded_log import BoundedLog
from harness.clock.cgroup import Cgroup, group_of, time_for_dying
from harness.clock.channel import Channel
from harness.clock.container.engine import connect, explain, local_pid, problems, remove_run
from harness.clock.processes import kill_until, run_first

if TYPE_CHECKING:
    from docker import DockerClient

PATIENCE_S = 60.0  # for an engine that does not answer
_LOOK_FOR_HARNESS_S = 1.0  # its death closes the channel, unless a process that it forked still has it open
_TELLS_ENDING_IN_S = 10.0
_LOOK_FOR_ENDING_S = 0.02
_WAITS_AT_MOST_S = 1.0
_LOG_ENDS_IN_S = 2.0


class Generator:
    """One created container, seen from its guard. What the engine may take long to answer is asked in threads.

    Attributes:
        over: a descriptor that can be read when nothing of it is alive any more, or it could not be started.
        ended: CLOCK_MONOTONIC seconds at which that was seen.
        problem: why it could not be started.
    """

    def __init__(self, client: DockerClient, container_id: str, group: Cgroup | None, log: BoundedLog) -> None:
        self._api, self._id, self._group, self._log = client.api, container_id, group, log
        self._process: int | None = None  # a descriptor of its first process, where we see it
        self._struck = False
        self._pumping: threading.Thread | None = None
        self.over = os.eventfd(0)
        self.ended: float | None = None
        self.problem: str | None = None

    def start(self) -> None:
        """Start it, without waiting for it."""
        threading.Thread(target=self._live, daemon=True).start()

    def warn(self) -> None:
        """Send its first process a SIGTERM."""
        threading.Thread(target=self._signal, args=(signal.SIGTERM,), daemon=True).start()

    def is_over(self, pause_s: float = 0.0) -> bool:
        """Whether it is, waited for so long."""
        return bool(select.select([self.over], [], [], pause_s)[0])

    def kill(self, give_up: float) -> bool:
        """Kill it and wait until nothing of it is alive; whether that was so before `give_up`."""
        return kill_until(self.is_over, self._strike, give_up)

    def ending(self) -> tuple[int | None, bool]:
        """Its exit code, minus the signal that killed it, and whether memory ran out; (None, False) if nobody knows."""
        give_up = time.monotonic() + _TELLS_ENDING_IN_S
        try:
            while (state := self._api.inspect_container(self._id)["State"])["Running"]:
                if time.monotonic() > give_up:
                    return None, False
                time.sleep(_LOOK_FOR_ENDING_S)
        except problems():
            return None, False
        code, out_of_memory = int(state["ExitCode"]), bool(state.get("OOMKilled"))
        return (128 - code if 128 < code <= 128 + signal.NSIG else code), out_of_memory

    def close_log(self) -> None:
        """Write what was kept of the log, once it is over."""
        if self._pumping:
            self._pumping.join(_LOG_ENDS_IN_S)
        self._log.close()

    def _live(self) -> None:
        """From its start to its end."""
        try:
            output = self._api.attach(self._id, stdout=True, stderr=True, stream=True)
            self._pumping = threading.Thread(target=self._pump, args=(output,), daemon=True)
            self._pumping.start()
            self._api.start(self._id)
            pid = self._find_process()
        except problems() as problem:
            if not self._struck:  # else it died of that while it was being started
                self.problem = explain(problem)
        else:
            with time_for_dying(group_of(pid, self._id, ["cpu"]) if pid else None):
                self._outlive()
        self.ended = time.monotonic()
        os.eventfd_write(self.over, 1)

    def _pump(self, output: Any) -> None:
        with suppress(*problems()):  # the engine may be stopped
            for data in output:
                self._log.write(data)

    def _find_process(self) -> int | None:
        """Open its first process where we see it: the last of a process namespace to be gone, and fast to kill."""
        pid = local_pid(self._api.inspect_container(self._id)["State"], self._id)
        if pid is not None:
            with suppress(ProcessLookupError):
                self._process = os.pidfd_open(pid)
                if local_pid({"Pid": pid}, self._id) is None:  # it had ended, and its number is another's
                    self._process = None
        return pid

    def _outlive(self) -> None:
        """Wait until nothing of it is alive."""
        if self._process is not None:
            select.select([self._process], [], [])
            return
        from docker.errors import NotFound

        while True:
            # Podman may let a request to wait for a container that has ended wait for ever.
            with suppress(*problems()):
                self._api.wait(self._id, timeout=_WAITS_AT_MOST_S)
                return
            try:
                if not self._api.inspect_container(self._id)["State"]["Running"]:
                    return
            except NotFound:
                return
            except problems():  # the engine is stopped; it may come back
                time.sleep(_LOOK_FOR_HARNESS_S)

    def _strike(self) -> None:
        """Kill all; with its first process the kernel does so too, but once that had its turn on a core."""
        self._struck = True
        if self._group is not None:  # without the rights for it nothing happens
            self._group.kill()
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            try:
                signal.pidfd_send_signal(self._process, number)
                return
            except ProcessLookupError:
                return
            except PermissionError:  # only root may do so
                pass
        with suppress(*problems()):  # not running yet, or no more
            self._api.kill(self._id, int(number))


def watch(generator: Generator, channel: Channel, harness: int, warn_at: float, deadline: float) -> str:
    """Wait until something ends the run: `exited`, `deadline`, or `told` by the harness or its death.

    Args:
        harness: its process number.
        warn_at, deadline: CLOCK_MONOTONIC seconds; at `warn_at` the container gets a SIGTERM.
    """
    events = select.poll()
    events.register(channel, select.POLLIN)
    events.register(generator.over, select.POLLIN)
    while True:
        now = time.monotonic()
        if now >= deadline:
            return "deadline"
        if now >= warn_at:
            generator.warn()
            warn_at = deadline
        wait_s = min(warn_at - now, _LOOK_FOR_HARNESS_S)
        ready = {descriptor for descriptor, _ in events.poll(wait_s * 1000)}
        if generator.over in ready:
            return "exited"
        if channel.fileno() in ready or os.getppid() != harness:
            return "told"


def guard(client: DockerClient, channel: Channel, harness: int) -> None:
    """Do what the harness orders about one container, and report how it ended."""
    order = _next_order(channel, harness)
    if order is None:
        return
    group = Cgroup(Path(order["group"])) if order["group"] else None
    generator = Generator(client, order["container"], group, BoundedLog(sys.stdout.fileno()))
    generator.start()
    cause = watch(generator, channel, harness, order["warn_at"], order["deadline"])
    report: dict[str, object]
    if not generator.kill(time.monotonic() + PATIENCE_S):
        report = {"alive": True}
    elif generator.problem is not None:
        report = {"problem": generator.problem}
    else:
        returncode, out_of_memory = generator.ending()
        report = {"cause": cause, "ended": generator.ended, "returncode": returncode, "out_of_memory": out_of_memory}
    generator.close_log()
    with suppress(OSError):  # the harness may be dead
        channel.send(**report)
    while _next_order(channel, harness):  # the harness copies the images out before it closes the channel
        pass


def _next_order(channel: Channel, harness: int) -> dict[str, Any] | None:
    """What the harness says next, waited for; None when it has closed the channel or is dead."""
    while not select.select([channel], [], [], _LOOK_FOR_HARNESS_S)[0]:
        if os.getppid() != harness:
            return None
    return channel.receive()


def main() -> None:
    """Standard input is the channel to the harness, standard output the log, the argument the run's name."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    channel, harness = Channel(socket.socket(fileno=0)), os.getppid()
    client = connect()
    run_first(children_too=True)
    try:
        channel.send(ready=True)
        guard(client, channel, harness)
    finally:
        try:
            remove_run(client, sys.argv[1])
        except problems() as problem:
            sys.exit(f"[guard] {explain(problem)}; the next run removes what this one leaves on the container engine")


if __name__ == "__main__":
    main()
