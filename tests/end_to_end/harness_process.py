"""The harness as a user starts it: a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

from tests.forked import run_forked

ROOT = Path(__file__).resolve().parents[2]


def harness(*arguments: str | Path) -> list[str]:
    """The command line of `python -m harness ARGUMENTS`."""
    return [sys.executable, "-m", "harness", *map(str, arguments)]


def environment(mark: str) -> dict[str, str]:
    """This process's environment with a mark that every descendant carries; one thread, as tests run side by side."""
    return {**os.environ, "TEST_MARK": mark, "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}


def run_harness(*arguments: str | Path, mark: str = "end-to-end") -> subprocess.CompletedProcess[str]:
    """Run it to its end, forked from a process that has imported it."""
    words = [str(argument) for argument in arguments]
    return run_forked("harness", words, folder=ROOT, environment=environment(mark), timeout=1200)


def run_new_harness(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The same as the user's own command line, all of its imports included."""
    return subprocess.run(
        harness(*arguments), cwd=ROOT, env=environment("end-to-end"), capture_output=True, text=True, timeout=1200
    )


def record_of(run: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((run / "record.json").read_text(encoding="utf-8"))
    return loaded


def marked(mark: str) -> list[psutil.Process]:
    """Every living process that carries the mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TEST_MARK") == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found
