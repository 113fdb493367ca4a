"""What the worker says of the batch sizes that it tried on the clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from submission.pacing import margin_s


@dataclass(frozen=True)
class Trial:
    """Trials that are over.

    Attributes:
        tried: (generated images, seconds) of each; empty where there was no time for any.
        batch_size: what was chosen.
        made: images made by then, augmented copies counted.
        left_s: seconds from then to the deadline, less the margin.
    """

    tried: tuple[tuple[int, float], ...]
    batch_size: int
    made: int
    left_s: float


def trial_in(events: Sequence[dict[str, Any]], deadline: float, device: str) -> Trial | None:
    """The trial that the worker's events tell of, None where there was none."""
    for event in events:
        try:
            tried = tuple((int(images), float(seconds)) for images, seconds in event["trial"])
            left_s = deadline - event["t"]
            return Trial(tried, int(event["batch_size"]), int(event["images"]), left_s - margin_s(left_s, device))
        except (KeyError, TypeError, ValueError):
            continue  # another event, or a stranger's line
    return None
