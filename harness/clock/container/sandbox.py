"""One stranger's container under the clock, seen from the harness: made before the clock, started on it, copied out."""

from __future__ import annotations

import math
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from harness.clock.channel import Channel
from harness.clock.container import engine
from harness.clock.container.guard import PATIENCE_S
from harness.clock.container.holder import Holder
from harness.clock.container.limits import restrictions
from harness.clock.container.output import Copied
from harness.clock.container.visitor import Visitor
from harness.clock.late import last_moment
from harness.clock.launch import ROOT, Launch
from harness.clock.sandbox import Extinction, Isolation, StillAliveError
from harness.clock.supervisor import Clock, Ending, check_times, hold

# From making the container, when it is told its deadline, to the clock's start: at least, and against the time that
# making the holder took.
_LEAD_S = 0.5
_LEAD_RATIO = 4.0
_GUARD_ENDS_IN_S = 20.0
_INTERRUPTED_COPIES_S = 1.0


class Container:
    """A run's containers and volumes on the engine, and their guard."""

    def __init__(self, visitor: Visitor, log: Path, budget_s: float) -> None:
        self._client, self._visitor = visitor.client, visitor
        self._run = secrets.token_hex(8)
        self._labels = engine.labels(self._run, budget_s)
        self._lead_s = _LEAD_S
        self._guard, self._channel = _start_guard(log, self._run)
        self._generator: Any = None
        self._holder: Holder
        self._closing = ExitStack()

    @property
    def isolation(self) -> Isolation:
        return "container"

    def fileno(self) -> int:
        """Readable when the generator is over or the guard is gone."""
        return self._channel.fileno()

    def prepare(self) -> None:
        """Make the volumes and the holder. Raises ValueError where the engine refuses."""
        self._holder = Holder(self._visitor, self._run, self._labels)
        self._closing.callback(self._holder.close)
        self._lead_s = max(_LEAD_S, _LEAD_RATIO * self._holder.created_in_s)
        if self._channel.receive() is None:
            raise ValueError("the container's guard did not start; the log says why")

    def start(self, prepare: Callable[[Clock], Launch], budget_s: float, grace_s: float) -> Clock:
        """Make the container, and have the guard start it at the time that was set for the clock.

        Args:
            prepare: says what to start: an environment and, in place of the image's own, a command.

        Raises:
            ValueError: the engine refuses it, or is too slow.
        """
        clock = self._make_in_time(prepare, budget_s)
        with suppress(OSError):  # the guard may be dead already
            self._channel.send(
                container=self._generator.id,
                group=self._holder.group_beside(self._generator.id),
                warn_at=clock.deadline - grace_s,
                deadline=clock.deadline,
            )
        return clock

    def extinguish(self) -> Extinction:
        """Kill the generator and wait until nothing of it is alive; its images stay until `close`.

        Raises:
            ValueError: it could not be started; the sentence says why.
            StillAliveError: the engine does not kill it.
        """
        with suppress(OSError):
            self._channel.send(stop=True)
        self._guard.send_signal(signal.SIGCONT)  # the user may have stopped it with the harness
        report = None
        if select.select([self._channel], [], [], 2 * PATIENCE_S)[0]:
            report = self._channel.receive()
        if report is None:
            return self._extinguish_without_the_guard()
        if "problem" in report:
            raise ValueError(
                f"the container of {self._visitor.image.name} cannot be started: {report['problem']};"
                " check that the image runs with `docker run --rm`"
            )
        if "alive" in report:
            raise StillAliveError(self._still_alive())
        return Extinction(**report, stragglers=0)

    def copy_output(self, folder: Path, ending: Ending) -> Copied:
        """Copy to `folder` what the dead generator has left in its output folder by the deadline.

        Whoever interrupts a run gets what can be copied in a moment. Raises ValueError where the engine gives nothing.
        """
        give_up = time.monotonic() + _INTERRUPTED_COPIES_S if ending.reason == "interrupted" else math.inf
        return self._holder.copy_output(folder, last_moment(ending), give_up)

    def close(self) -> None:
        """Have the guard remove everything, or do so, where it is lost."""
        self._closing.close()
        self._channel.finish()
        try:
            self._guard.wait(_GUARD_ENDS_IN_S)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()
        self._channel.close()
        if self._guard.returncode != 0:
            with suppress(*engine.problems()):
                engine.remove_run(self._client, self._run)

    def _make_in_time(self, prepare: Callable[[Clock], Launch], budget_s: float) -> Clock:
        """Make the container and wait for its clock's start; with more time for it where that was too short."""
        for lead_s in (self._lead_s, 10 * self._lead_s):
            started = time.monotonic() + lead_s
            clock = Clock(started, started + budget_s)
            with engine.refusals("the container engine refuses the container", "see what the image or engine lacks"):
                self._generator = self._make_generator(prepare(clock))
                if (wait_s := started - time.monotonic()) > 0:
                    time.sleep(wait_s)
                    return clock
                self._generator.remove(force=True)
        raise ValueError(
            f"the container engine takes over {lead_s:.1f} s to make a container; try again when it has less to do"
        )

    def _make_generator(self, launch: Launch) -> Any:
        visitor = self._visitor
        return self._client.containers.create(
            visitor.image.id,
            command=list(launch.command) or None,
            environment=dict(launch.env),
            labels=self._labels,
            mounts=self._holder.mounts(),
            **restrictions(visitor.limits, visitor.image, read_only=True, init=True, gpu=visitor.gpu),
        )

    def _extinguish_without_the_guard(self) -> Extinction:
        self._guard.kill()
        try:
            with suppress(*engine.problems()):  # not running any more
                self._generator.kill()
            self._generator.wait(timeout=PATIENCE_S)
        except engine.problems():
            raise StillAliveError(self._still_alive()) from None
        return Extinction(time.monotonic(), None, None, 0, False)

    def _still_alive(self) -> str:
        return f"the engine does not kill container {self._generator.id[:12]}; kill it by hand, or restart the engine"


@contextmanager
def open_container(visitor: Visitor, log: Path, budget_s: float) -> Iterator[Container]:
    """A container with its guard running and nothing started. When it closes, nothing of it is left on the engine.

    Raises:
        ValueError: the engine refuses something.
    """
    container = Container(visitor, log, budget_s)
    try:
        container.prepare()
        yield container
    finally:
        container.close()


def supervise_container(
    visitor: Visitor,
    prepare: Callable[[Clock], Launch],
    *,
    output: Path,
    budget_s: float,
    grace_s: float = 0.0,
    log: Path,
    on_tick: Callable[[float], None] | None = None,
) -> tuple[Ending, Copied]:
    """Run a container under the clock and copy its images out; as `harness.clock.supervisor.supervise`.

    Args:
        prepare: called before the clock starts, with the time at which it will, and again where the engine took longer
            than that; says what to start. Without a command the image's own is run.
        output: the folder to copy the images to.

    Raises:
        ValueError: the budget or the grace period is invalid, or the engine refuses something.
        StillAliveError: the container cannot be killed.
    """
    check_times(budget_s, grace_s)
    with open_container(visitor, log, budget_s) as container:
        ending = hold(container, lambda: container.start(prepare, budget_s, grace_s), grace_s, on_tick)
        return ending, container.copy_output(output, ending)


def _start_guard(log: Path, run: str) -> tuple[subprocess.Popen[bytes], Channel]:
    ours, theirs = socket.socketpair()
    with theirs, log.open("ab") as log_file:
        guard = subprocess.Popen(
            [sys.executable, "-m", "harness.clock.container.guard", run],
            stdin=theirs.fileno(),
            stdout=log_file,
            stderr=log_file,
            cwd=ROOT,
            start_new_session=True,
        )
    return guard, Channel(ours)
