from typing import Any

import pytest

from harness.run.generation import EndedBy, ended_by
from tests.harness.run.generations import generation


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
