"""The wall clock is set back in the middle of a run: for all of its processes, not for the machine.

No test may set the machine's clock, and a time namespace moves other clocks only; so a small library that is loaded
into harness, guard and generator tells them another time.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from datetime import datetime
from pathlib import Path

import pytest

from tests.end_to_end.faults.harness_at_work import PAINTS
from tests.end_to_end.faults.matrix import Row, proves
from tests.end_to_end.harness_process import ROOT, environment, harness, marked, record_of

SOURCE = Path(__file__).with_name("set_back.c")
BUDGET_S = 6.0


@pytest.fixture
def library(tmp_path: Path) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler to make the library with")
    made = tmp_path / "set_back.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", made, SOURCE, "-ldl"], check=True)
    return made


@pytest.mark.slow
@proves(Row("The wall clock is set back by an hour while generating", "`deadline_truncated`", "all whole images"))
def test_the_deadline_does_not_follow_the_wall_clock(library: Path, tmp_path: Path) -> None:
    output, set_back, mark = tmp_path / "run", tmp_path / "now", str(tmp_path)
    env = {**environment(mark), "LD_PRELOAD": str(library), "SET_BACK_ONCE": str(set_back)}
    asked = ("--dataset", "digits", "--out", output, "--budget", f"{BUDGET_S:g}s", "--no-judge", "--command", PAINTS)
    with subprocess.Popen(harness(*asked), cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as run:
        give_up = time.monotonic() + 60
        while not list(output.glob("images/*/*.png")):
            assert run.poll() is None and time.monotonic() < give_up, "there is no image"
            time.sleep(0.01)
        set_back.touch()
        told = subprocess.run(["date", "+%s"], env=env, capture_output=True, text=True, check=True).stdout
        assert time.time() - float(told) > 3590, "the library does not do what it is for"
        said, _ = run.communicate(timeout=120)
    assert run.returncode == 0, said.decode()
    record = record_of(output)
    clock = record["clock"]
    assert (record["outcome"], clock["ended_by"]) == ("deadline_truncated", "clock") and record["images"] > 0
    assert clock["deadline"] - clock["started"] == pytest.approx(BUDGET_S)
    assert 0 < clock["ended"] - clock["deadline"] < 3
    phases = ("load", "warmup", "profile", "generate", "write", "idle")
    assert sum(clock["ledger"][phase] for phase in phases) == pytest.approx(clock["ended"] - clock["started"])
    begun = datetime.fromisoformat(clock["started_at"]).timestamp()
    assert abs(begun - output.stat().st_mtime) < 120, "when it began was read before"
    assert not marked(mark)
