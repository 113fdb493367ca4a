from datetime import UTC, datetime
from typing import Any

import pytest

from harness.clock.ledger import Ledger
from harness.clock.supervisor import Ending
from harness.records.record import Outcome
from harness.run.generation import EndedBy, Generation, ended_by, outcome


def generation(
    error: str | None = None, detail: str | None = None, loading: bool = False, **changes: Any
) -> Generation:
    told: dict[str, Any] = {
        "started": 0.0,
        "deadline": 60.0,
        "ended": 40.0,
        "started_at": datetime(2026, 1, 1, tzinfo=UTC),
        "reason": "exited",
        "killed_after_s": None,
        "returncode": 0,
        "out_of_memory": False,
        "stragglers": 0,
        "isolation": "process",
    }
    ledger = Ledger(load=40.0) if loading else Ledger(load=1.0, generate=39.0)
    return Generation(Ending(**{**told, **changes}), ledger, "program", error, detail)


DEADLINE = {"reason": "deadline", "returncode": -9, "killed_after_s": 0.01}


@pytest.mark.parametrize(
    ("run", "images", "invalid", "expected", "words"),
    [
        (generation(), 10, None, Outcome.OK, None),
        (generation(stragglers=2), 10, None, Outcome.OK, "left 2 processes behind"),
        (generation(), 0, None, Outcome.NO_IMAGES, "without an image"),
        (generation(**DEADLINE), 10, None, Outcome.DEADLINE_TRUNCATED, None),
        (generation(**DEADLINE), 0, None, Outcome.NO_IMAGES, "nothing whole on disk"),
        (generation(loading=True, **DEADLINE), 0, None, Outcome.NO_IMAGES, "still loading"),
        (generation(returncode=1), 10, None, Outcome.CRASHED, "exit code 1"),
        (generation(returncode=-11), 0, None, Outcome.CRASHED, "signal 11"),
        (generation(returncode=-40), 0, None, Outcome.CRASHED, "signal 40"),
        (generation(returncode=None), 0, None, Outcome.CRASHED, "not known"),
        (generation("crashed", "ValueError: no", returncode=1), 0, None, Outcome.CRASHED, "ValueError: no"),
        (generation("out_of_memory", "big", returncode=1), 5, None, Outcome.OUT_OF_MEMORY, "big"),
        (generation(out_of_memory=True, returncode=-9), 5, None, Outcome.OUT_OF_MEMORY, None),
        (generation(reason="interrupted", returncode=-9), 5, None, Outcome.INTERRUPTED, None),
        (generation(reason="guard_lost", returncode=None), 5, None, Outcome.CRASHED, "guard"),
        (generation(), 0, "folder banana", Outcome.INVALID_OUTPUT, "banana"),
    ],
)
def test_outcomes(run: Generation, images: int, invalid: str | None, expected: Outcome, words: str | None) -> None:
    how, detail = outcome(run, images, invalid)
    assert how is expected
    assert detail is None if words is None else words in (detail or "")


@pytest.mark.parametrize(
    ("reason", "said", "own", "expected"),
    [
        ("interrupted", ["ipc"], True, "interrupt"),
        ("deadline", ["ipc"], True, "clock"),
        ("exited", ["ipc"], True, "ipc"),
        ("exited", ["exhausted"], True, "exhausted"),
        ("exited", ["ipc", "clock"], True, "clock"),
        ("exited", ["something else"], True, "program"),
        ("exited", [], True, "program"),
        ("exited", ["ipc"], False, "program"),
    ],
)
def test_the_clock_says_what_ended_a_run_and_then_the_last_word_of_our_worker(
    reason: str, said: list[str], own: bool, expected: EndedBy
) -> None:
    ends: list[dict[str, Any]] = [{"t": 2.0, "end": word} for word in said]
    events = [{"t": 1.0, "phase": "load"}, *ends, {"t": 3.0, "images": 1}]
    assert ended_by(generation(reason=reason).ending, events, own) == expected
