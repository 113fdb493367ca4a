"""The batch sizes that the worker tried on the clock, from its events, and what they predict."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.planning.batch_times import Span
from submission.worker.pacing import margin_s

# Of the time after the trials: the queue to the disk fills in the first part, and what follows is what a run is like.
SETTLING, WATCHED = 0.05, 0.15
MIN_EVENTS = 3
# A trial times each size once: how far off, as a fraction, the rest of the run may be.
TRIAL_UNCERTAINTY = 0.1


@dataclass(frozen=True)
class Pace:
    """The pace of a run at some moment; images are those handed to the writer, augmented copies counted.

    Attributes:
        left_s: seconds from then to the deadline, less the margin.
    """

    made: int
    images_per_s: float
    left_s: float


@dataclass(frozen=True)
class BatchTrial:
    """The batch sizes that were tried.

    Attributes:
        tried: (generated images, seconds) of each; empty where there was no time for any.
        batch_size: what was chosen.
        made: images handed to the writer by the end of the trials, augmented copies counted.
        left_s: seconds from then to the deadline, less the margin.
        settled: the pace once the queue to the disk is as full as it will be; None where the run was over before.
    """

    tried: tuple[tuple[int, float], ...]
    batch_size: int
    made: int
    left_s: float
    settled: Pace | None = None

    def predict_images(self, pda: int) -> Span | None:
        """Images of the whole run, from its first part where it has settled, else from the trials alone.

        None where time ran out before the chosen size was tried: a smaller one would predict far too little.
        `pda` images are written for each generated one.
        """
        pace, seconds = self.settled, dict(self.tried).get(self.batch_size)
        if pace is None and seconds is not None:
            pace = Pace(self.made, pda * self.batch_size / seconds, self.left_s)
        if pace is None:
            return None
        more, doubt = pace.left_s * pace.images_per_s, TRIAL_UNCERTAINTY
        return Span(pace.made + more * (1 - doubt), pace.made + more, pace.made + more * (1 + doubt))


def trial_in(events: Sequence[dict[str, Any]], deadline: float, device: str) -> BatchTrial | None:
    """The trial in the worker's events, None where there was none."""
    for event in events:
        try:
            tried = tuple((int(images), float(seconds)) for images, seconds in event["trial"])
            size, made, left_s = int(event["batch_size"]), int(event["images"]), deadline - event["t"]
        except (KeyError, TypeError, ValueError):
            continue  # another event, or a stranger's line
        left_s -= margin_s(left_s, device)
        return BatchTrial(tried, size, made, left_s, settled_in(events, event["t"], left_s))
    return None


def settled_in(events: Sequence[dict[str, Any]], since: float, left_s: float) -> Pace | None:
    """The pace between `SETTLING` and `WATCHED` of `left_s` seconds after `since`; None with too few batches then."""
    seen = [
        (float(event["t"]), event["images"])
        for event in events
        if isinstance(event.get("images"), int) and SETTLING <= (event["t"] - since) / max(left_s, 1e-9) <= WATCHED
    ]
    if len(seen) < MIN_EVENTS or seen[-1][0] <= seen[0][0]:
        return None
    (began, before), (ended, made) = seen[0], seen[-1]
    return Pace(made, (made - before) / (ended - began), left_s - (ended - since))
