"""A generation that ended as a test wants it."""

from datetime import UTC, datetime
from typing import Any

from harness.clock.ledger import Ledger
from harness.clock.supervisor import Ending
from harness.run.generation import Generation


def generation(
    error: str | None = None,
    detail: str | None = None,
    loading: bool = False,
    notes: tuple[str, ...] = (),
    **changes: Any,
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
    return Generation(Ending(**{**told, **changes}), ledger, "program", error, detail, notes=notes)
