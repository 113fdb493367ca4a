"""A newcomer's first hour, on a terminal: the main job, a program, a class, a comparison, the audits; never silent."""

import os
import pty
import select
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.end_to_end.test_readme import ROOT, install_class, snippet

TICK_S = 0.1
SILENT_S = 3.0


@dataclass(frozen=True)
class Shown:
    """What a command showed on a terminal.

    Attributes:
        silent_s: its longest silence before something more was shown; a reader that gets no processor time counts none.
        before: what it showed last before that.
    """

    code: int
    text: str
    silent_s: float
    before: str


def on_a_terminal(folder: Path, *arguments: str) -> Shown:
    """Run `python ARGUMENTS` in `folder` on a terminal of its own."""
    ours, theirs = pty.openpty()
    env = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{folder}", "TERM": "xterm", "COLUMNS": "120"}
    env["XDG_CACHE_HOME"] = str(folder / "cache")  # nothing is compiled or measured yet
    process = subprocess.Popen([sys.executable, *arguments], cwd=folder, env=env, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown, silent, longest, before = bytearray(), 0, 0, b""
    while True:
        if select.select([ours], [], [], TICK_S)[0]:
            try:
                read = os.read(ours, 1 << 16)
            except OSError:  # the other side is closed
                break
            if silent > longest:
                longest, before = silent, bytes(shown[-300:])
            shown += read
            silent = 0
        else:
            silent += 1
    os.close(ours)
    return Shown(process.wait(60), shown.decode(errors="replace"), longest * TICK_S, before.decode(errors="replace"))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_first_hour(tmp_path: Path) -> None:
    (tmp_path / "noise.py").write_text(snippet("noise.py"), encoding="utf-8")
    install_class(tmp_path)
    short = ("--dataset", "digits", "--epochs", "5", "--rounds", "2", "--ipc", "10")
    commands = {
        "doctor": ("-m", "harness", "doctor"),
        "the main job": ("-m", "harness", *short, "--out", "runs/native"),
        "a class": ("-m", "harness", *short, "--generator", "grey", "--out", "runs/grey"),
        "a program": ("-m", "harness", *short[:-2], "--command", f"{sys.executable} noise.py", "--out", "runs/noise"),
        "a comparison": ("-m", "harness", "compare", "runs/native", "runs/grey"),
        "the audits": ("-m", "evaluation", "audit", "runs/native/images", "--dataset", "digits"),
        "the judge alone": ("-m", "evaluation", "runs/native", "--dataset", "digits", "--epochs", "5", "--rounds", "1"),
    }
    for what, arguments in commands.items():
        shown = on_a_terminal(tmp_path, *arguments)
        assert shown.code == 0, f"{what}: {shown.text}"
        assert shown.silent_s < SILENT_S, f"{what} was silent for {shown.silent_s:.1f} s after: {shown.before}"
    assert all((tmp_path / "runs" / run / "report.html").stat().st_size > 10_000 for run in ("native", "grey", "noise"))
