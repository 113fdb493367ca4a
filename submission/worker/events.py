"""What a worker says of itself while it runs: JSON lines, appended, each stamped with CLOCK_MONOTONIC seconds.

`{"t": 12.5, "phase": "generate"}` says that a phase of the ledger begins; `{"t": 13.0, "images": 128}` how many images
have been handed to the writer; `{"t": 14.0, "end": "ipc"}` why the worker stopped. The harness reads them; nothing
that they say moves its clock.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any


class EventLog:
    """Appends events; each line is one write, so a kill never leaves two halves mixed."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def say(self, **what: Any) -> None:
        line = json.dumps({"t": time.monotonic(), **what}) + "\n"
        os.write(self._fd, line.encode())


def read_events(path: Path) -> list[dict[str, Any]]:
    """The events in `path`; lines that are no JSON object with a time (a kill, a stranger) are passed over."""
    if not path.exists():
        return []
    events = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and isinstance(event.get("t"), int | float):
            events.append(event)
    return events
