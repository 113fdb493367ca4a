"""What the worker says of the batch sizes that it tried on the clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from submission.worker.pacing import margin_s

# Of the time after the trials: the queue to the disk fills in the first part, and what follows is what a run is like.
SETTLING, WATCHED = 0.05, 0.15
LEAST_EVENTS = 3


@dataclass(frozen=True)
class Settled:
    """What a run gives once the queue to the disk is as full as it will be.

    Attributes:
        made: images handed to the writer by then, augmented copies counted and those that were dropped not.
        images_per_s: of the same, in the seconds before.
        left_s: seconds from then to the deadline, less the margin.
    """

    made: int
    images_per_s: float
    left_s: float


@dataclass(frozen=True)
class Trial:
    """Trials that are over.

    Attributes:
        tried: (generated images, seconds) of each; empty where there was no time for any.
        batch_size: what was chosen.
        made: images handed to the writer by then, augmented copies counted and those that were dropped not.
        left_s: seconds from then to the deadline, less the margin.
        settled: what followed, None where the run was over before that.
    """

    tried: tuple[tuple[int, float], ...]
    batch_size: int
    made: int
    left_s: float
    settled: Settled | None = None


def trial_in(events: Sequence[dict[str, Any]], deadline: float, device: str) -> Trial | None:
    """The trial that the worker's events tell of, None where there was none."""
    for event in events:
        try:
            tried = tuple((int(images), float(seconds)) for images, seconds in event["trial"])
            size, made, left_s = int(event["batch_size"]), int(event["images"]), deadline - event["t"]
        except (KeyError, TypeError, ValueError):
            continue  # another event, or a stranger's line
        left_s -= margin_s(left_s, device)
        return Trial(tried, size, made, left_s, settled_in(events, event["t"], left_s))
    return None


def settled_in(events: Sequence[dict[str, Any]], since: float, left_s: float) -> Settled | None:
    """The pace between `SETTLING` and `WATCHED` of `left_s` seconds after `since`; None with too few batches then."""
    told = [
        (float(event["t"]), event["images"])
        for event in events
        if isinstance(event.get("images"), int) and SETTLING <= (event["t"] - since) / max(left_s, 1e-9) <= WATCHED
    ]
    if len(told) < LEAST_EVENTS or told[-1][0] <= told[0][0]:
        return None
    (began, before), (ended, made) = told[0], told[-1]
    return Settled(made, (made - before) / (ended - began), left_s - (ended - since))
