"""`tune` as a user runs it, and the `run` after it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.end_to_end.harness_process import record_of, run_harness

pytestmark = pytest.mark.slow


def test_tune_chooses_and_run_takes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    kind = ("--dataset", "digits", "--generator", "native", "--budget", "20s", "--ipc", "4")
    quick = ("--steps", "1,4", "--epochs", "4", "--rounds", "2")
    done = run_harness("tune", *kind, *quick, "--out", tmp_path / "tuned", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [trial["name"] for trial in told["trials"]] == ["1 step", "4 steps"]
    assert sum(trial["chosen"] for trial in told["trials"]) == 1
    assert all(len(pilot["rounds"]) == 2 for trial in told["trials"] for pilot in trial["pilots"])
    assert json.loads((tmp_path / "tuned" / "tune.json").read_text(encoding="utf-8")) == told
    page = (tmp_path / "tuned" / "tune.html").read_text(encoding="utf-8")
    assert page.count('<svg class="wide"') == 3 and "(chosen)" in page and 'src="http' not in page
    assert [path.name for path in sorted((tmp_path / "tuned").iterdir())] == ["tune.html", "tune.json"]

    ran = run_harness(*kind, "--no-judge", "--out", tmp_path / "run")
    assert ran.returncode == 0, ran.stderr
    record = record_of(tmp_path / "run")
    assert record["plan"]["tuned"] and record["plan"]["steps"] == told["chosen"]["steps"]
    assert "Tuned on" in ran.stdout
    named = run_harness(*kind, "--no-judge", "--steps", "2", "--out", tmp_path / "named")
    assert named.returncode == 0 and not record_of(tmp_path / "named")["plan"]["tuned"]
