"""Output that nobody reads any more, and sizes that no terminal has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
_SHOW = (
    "import os, sys; from evaluation.base.terminal import outlast_terminal; outlast_terminal();"
    "from evaluation.base.progress_bar import plain_console, progress_bar; console = plain_console()\n"
    "for line in range(300): console.print('a line of many bytes, ' * 9, line)\n"
    "print('{}', flush=True)\n"
    "with progress_bar('Working', console) as update: update(0.5, 'half')\n"
    "os.system('echo from a child')\n"
    "print('done', file=sys.stderr)\n"
)


def _show(stdout: int | None, columns: str | None = None, closed: bool = False) -> subprocess.CompletedProcess[str]:
    environment = os.environ | ({} if columns is None else {"COLUMNS": columns, "LINES": columns})
    command = [sys.executable, "-c", _SHOW]
    if closed:
        command = ["sh", "-c", 'exec "$@" >&-', "sh", *command]
    return subprocess.run(
        command, cwd=ROOT, env=environment, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=300
    )


def test_a_reader_that_goes_away_ends_nothing() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as output:
        os.close(reading)
        done = _show(output.fileno())
    assert (done.returncode, done.stderr) == (0, "done\n")


def test_output_that_finds_no_room_is_told_and_ends_nothing() -> None:
    with Path("/dev/full").open("w") as full:
        done = _show(full.fileno())
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "The output cannot be written (No space left on device); the rest of it is lost.",
        "done",
    ]


def test_a_closed_output_ends_nothing() -> None:
    done = _show(None, closed=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr and done.stderr.endswith("done\n")


@pytest.mark.parametrize("columns", ["0", "000", "", "-1", "wide"])
def test_a_width_that_no_terminal_has_is_unknown(columns: str) -> None:
    done = _show(subprocess.PIPE, columns)
    assert done.returncode == 0 and done.stdout.count("a line of many bytes") == 2_700


@pytest.mark.parametrize("module", ["harness", "evaluation", "submission.training"])
def test_every_command_outlasts_its_reader(module: str) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as output:
        os.close(reading)
        done = subprocess.run(
            [sys.executable, "-m", module, "--help"], cwd=ROOT, stdout=output, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr) == (0, "")
