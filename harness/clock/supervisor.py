"""The clock: starts a generator, enforces the deadline, and returns when nothing of it is left.

The rules are in docs/clock.md. All times are CLOCK_MONOTONIC seconds, which no change of the wall clock moves.
"""

import math
import select
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, Protocol

from evaluation.base.interruption import Interruption, held_back
from harness.clock.cgroup import oom_kills
from harness.clock.launch import Launch
from harness.clock.sandbox import Extinction, Isolation, Route, open_sandbox

Reason = Literal["exited", "deadline", "interrupted", "guard_lost"]

_TICK_S = 0.25
_LONGEST_WAIT_S = 3600.0  # poll takes no more than some weeks
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Clock:
    """When the generator's time runs, in CLOCK_MONOTONIC seconds: from just before its process is started."""

    started: float
    deadline: float


@dataclass(frozen=True)
class Ending:
    """How a generator's run ended, as the clock saw it; none of its processes is alive by then.

    Attributes:
        started, deadline, ended: CLOCK_MONOTONIC seconds; its last process was dead by `ended`.
        started_at: `started` on the wall clock, UTC.
        reason: `exited`: it ended by itself, all of it before the deadline; `deadline`: the clock ended it, with
            a SIGTERM in the grace time or with a kill; `interrupted`: SIGINT, SIGTERM or SIGHUP came to the harness;
            `guard_lost`: the guard was killed, and so was all the rest.
        killed_after_s: seconds from the deadline to the death of the last process; None where no kill at the deadline
            was needed.
        returncode: exit code of the main process, minus the signal that killed it; None where the guard was lost.
        out_of_memory: the main process failed by itself while the kernel's count of out-of-memory kills went up.
        stragglers: processes that the main process left behind when it exited; killed at once.
        isolation: the route by which it was killed.
        confined: what a program was kept from: `network`, `processes`, `data`, and (`process_limit`) from starting too
            many of its own; None for one that was kept from nothing.
    """

    started: float
    deadline: float
    ended: float
    started_at: datetime
    reason: Reason
    killed_after_s: float | None
    returncode: int | None
    out_of_memory: bool
    stragglers: int
    isolation: Isolation
    confined: tuple[str, ...] | None = None


class Held(Protocol):
    """What the clock holds: a generator that was started, and the way to end all of it."""

    @property
    def isolation(self) -> Isolation: ...

    def fileno(self) -> int:
        """Readable when the generator is over."""
        ...

    def extinguish(self) -> Extinction:
        """Kill all of it and wait until nothing is left. Raises as `hold` does."""
        ...


def supervise(
    prepare: Callable[[Clock], Launch],
    *,
    budget_s: float,
    grace_s: float = 0.0,
    log: Path,
    on_tick: Callable[[float], None] | None = None,
    isolation: Route | Literal["auto"] = "auto",
    hidden: Sequence[Path] | None = None,
) -> Ending:
    """Run a generator under the clock.

    SIGINT, SIGTERM and SIGHUP end the run instead of the harness, if this is called in the main thread, and
    except those that the harness ignores (as under nohup).

    Args:
        prepare: called when the clock has started; says what to start. It may tell the generator its deadline.
        budget_s: seconds from the start to the deadline.
        grace_s: how many seconds before the deadline the generator is sent a SIGTERM; 0 for none.
        log: the file to append the generator's output to, bounded (`harness.clock.bounded_log`).
        on_tick: called about four times a second with the seconds since the start.
        isolation: the route, see `harness.clock.sandbox`; `auto` takes the best that the machine allows.
        hidden: confine the program, and hide these from it; None to keep it from nothing.

    Raises:
        ValueError: the budget, the grace period or the isolation is invalid, or the generator cannot be started.
        StillAliveError: a process of the generator cannot be killed.
    """
    check_times(budget_s, grace_s)
    if not _one_at_a_time.acquire(blocking=False):
        raise ValueError("another generator is on the clock in this process already; wait until it has ended")
    try:
        with open_sandbox(log, isolation, hidden) as sandbox:

            def start() -> Clock:
                started = time.monotonic()
                clock = Clock(started, started + budget_s)
                sandbox.start(prepare(clock), clock.deadline - grace_s, clock.deadline)
                return clock

            return replace(hold(sandbox, start, grace_s, on_tick), confined=sandbox.confined)
    finally:
        _one_at_a_time.release()


def check_times(budget_s: float, grace_s: float) -> None:
    """Raises ValueError for a budget or a grace period that makes no sense."""
    if not 0 < budget_s < math.inf:
        raise ValueError(f"the budget must be a number of seconds above 0, not {budget_s}")
    if not 0 <= grace_s < budget_s:
        raise ValueError(f"the grace period must be at least 0, shorter than the budget of {budget_s} s, not {grace_s}")


def hold(held: Held, start: Callable[[], Clock], grace_s: float, on_tick: Callable[[float], None] | None) -> Ending:
    """Start a generator, hold the clock over it, and return when nothing of it is alive.

    Signals to the harness are taken as in `supervise`, and so are `grace_s` and `on_tick`.

    Args:
        held: what is started and ended.
        start: starts it, without waiting for it, and tells its clock.

    Raises:
        ValueError: it cannot be started.
        StillAliveError: it cannot be killed.
    """
    with held_back(raises=False) as interruption:
        oom_kills_before = oom_kills()
        clock = start()
        started_at = datetime.now(UTC) - timedelta(seconds=time.monotonic() - clock.started)
        _watch(held, interruption, clock, on_tick)
        extinction = held.extinguish()
        reason = _reason(interruption.is_set(), extinction, clock.deadline - grace_s)
    kernel_killed = extinction.out_of_memory
    if kernel_killed is None:
        kernel_killed = oom_kills() != oom_kills_before
    return Ending(
        started=clock.started,
        deadline=clock.deadline,
        ended=extinction.ended,
        started_at=started_at,
        reason=reason,
        killed_after_s=max(0.0, extinction.ended - clock.deadline) or None if reason == "deadline" else None,
        returncode=extinction.returncode,
        out_of_memory=reason == "exited" and extinction.returncode != 0 and kernel_killed,
        stragglers=extinction.stragglers,
        isolation=held.isolation,
    )


def _watch(held: Held, interruption: Interruption, clock: Clock, on_tick: Callable[[float], None] | None) -> None:
    """Wait until the generator has ended or must end, calling `on_tick` meanwhile."""
    events = select.poll()
    events.register(held, select.POLLIN)
    events.register(interruption, select.POLLIN)
    tick_at = clock.started if on_tick else math.inf
    while (now := time.monotonic()) < clock.deadline:
        if on_tick and now >= tick_at:
            on_tick(now - clock.started)
            tick_at = now + _TICK_S
        wait_s = min(clock.deadline, tick_at, now + _LONGEST_WAIT_S) - time.monotonic()
        if events.poll(max(0.0, wait_s) * 1000):
            return


def _reason(interrupted: bool, extinction: Extinction, left_alone_until: float) -> Reason:
    if interrupted:
        return "interrupted"
    if extinction.ended > left_alone_until:
        return "deadline"
    return "exited" if extinction.cause == "exited" else "guard_lost"
