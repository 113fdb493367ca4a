"""The ledger: where every second of a generator's time went."""

import json
import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Phase = Literal["load", "warmup", "profile", "generate", "write", "idle"]
PHASES: tuple[Phase, ...] = get_args(Phase)

_MOST_BYTES = 16 << 20  # of an events file; our worker writes some kilobytes
_GRID_S = 2.0**-20


@dataclass(frozen=True)
class Ledger:
    """Where the time went: seconds by phase. The phases do not overlap; their sum is exactly `ended - started`.

    Attributes:
        killed_after_s: seconds past the deadline at which the last process was dead, beside that sum; None where
            nothing had to be killed.
    """

    load: float = 0.0
    warmup: float = 0.0
    profile: float = 0.0
    generate: float = 0.0
    write: float = 0.0
    idle: float = 0.0
    killed_after_s: float | None = None

    @property
    def by_phase(self) -> dict[Phase, float]:
        return {phase: getattr(self, phase) for phase in PHASES}

    @property
    def total(self) -> float:
        return sum(self.by_phase.values())


def ledger(
    events: Path | None,
    started: float,
    ended: float,
    default_phase: Phase = "load",
    killed_after_s: float | None = None,
) -> Ledger:
    """Divide the time from `started` to `ended` among the phases that the worker wrote down.

    A line `{"t": <CLOCK_MONOTONIC seconds>, "phase": <phase>}` says that this phase begins at t and lasts until the
    next begins. The worker may have been killed in the middle of a line, or lie: lines that are nothing of the
    kind, or of a time outside the run, are ignored.

    Args:
        events: JSON lines; None or a file that is not there for a generator that writes none.
        started, ended: CLOCK_MONOTONIC seconds.
        default_phase: the phase before the first event; `generate` for a command, of which nothing is known.
    """
    assert started <= ended
    beginnings = sorted(_beginnings(events, started, ended), key=lambda beginning: beginning[0])
    timeline = [(started, default_phase), *beginnings]
    ends = [*(time for time, _ in beginnings), ended]
    seconds: dict[Phase, float] = dict.fromkeys(PHASES, 0.0)
    for (begin, phase), end in zip(timeline, ends, strict=True):
        seconds[phase] += end - begin
    return Ledger(**_exact(seconds, ended - started), killed_after_s=killed_after_s)


def _beginnings(events: Path | None, started: float, ended: float) -> list[tuple[float, Phase]]:
    if events is None:
        return []
    try:
        if not events.is_file():  # opening a pipe in its place would block
            return []
        with events.open("rb") as file:
            lines = file.read(_MOST_BYTES).splitlines()
    except OSError:
        return []
    found: list[tuple[float, Phase]] = []
    for line in lines:
        with suppress(ValueError, RecursionError, TypeError, KeyError):  # a broken line, or another event
            event = json.loads(line)
            time, phase = event["t"], event["phase"]
            if isinstance(time, int | float) and started <= time <= ended and phase in PHASES:
                found.append((float(time), phase))
    return found


def _exact(seconds: dict[Phase, float], total: float) -> dict[Phase, float]:
    """Round all phases but the longest down to a grid of about a microsecond, and give the longest the rest.

    The sum of floats that were each rounded for themselves misses the total by some last digit. Multiples of the grid
    and a total below 2**33 seconds are multiples of the total's own last digit, so that adding them loses nothing.
    """
    longest = max(seconds, key=lambda phase: seconds[phase])
    rounded = {phase: math.floor(value / _GRID_S) * _GRID_S for phase, value in seconds.items() if phase != longest}
    return rounded | {longest: total - sum(rounded.values())}
