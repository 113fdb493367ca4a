"""Finding what a benchmark left running."""

from __future__ import annotations

from contextlib import suppress

import psutil


def marked(mark: str) -> list[str]:
    """The names of the living processes that have the mark in their variable BENCH_MARK."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("BENCH_MARK") == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.name())
    return found
