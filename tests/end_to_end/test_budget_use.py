"""Machines and generators that misbehave, through the whole harness; `benchmarks.budget_use` is the long form.

How much of the budget was used is asserted loosely here, since tests share their machine; the benchmark is strict.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.budget_use import AWKWARD, Case, cases, run_case
from tests.end_to_end.harness_process import record_of, run_harness

CASES = {case.name: case for case in cases() if case.name != "steady"}
BUDGET_S = 30.0


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", CASES)
def test_whatever_misbehaves_the_deadline_holds_and_classes_are_balanced(name: str, tmp_path: Path) -> None:
    run = run_case(CASES[name], BUDGET_S, tmp_path / "run", tmp_path)
    assert not run.overrun
    assert run.imbalance <= 1
    assert run.ipc > 0
    assert run.used > 0.85


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_profile_is_picked_up_and_predicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "profiled"))
    done = run_harness("profile", "--dataset", "digits", "--json", "--out", tmp_path / "profile")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["predictions"][0]["predicted_ipc"] > 0
    assert "<svg" in (tmp_path / "profile" / "profile.html").read_text()
    run = run_case(Case("steady", "native", True, {}), BUDGET_S, tmp_path / "run", tmp_path)
    record = record_of(tmp_path / "run")
    assert record["profile"]["key"]["generator"] == "native"
    low, high = record["plan"]["predicted_ipc_interval"]
    assert low <= record["plan"]["predicted_ipc"] <= high
    assert run.predicted_over_actual is not None and not run.overrun
    assert "By the profile of" in (tmp_path / "run" / "log.txt").read_text()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_where_the_machine_does_not_swing_a_profile_is_right_to_five_percent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A generator that sleeps takes as long whatever else the machine does; the disk and the start are real."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(AWKWARD / "generators"))
    arguments = ("--dataset", "digits", "--generator", "sleeper")
    done = run_harness("profile", *arguments, "--out", tmp_path / "profile")
    assert done.returncode == 0, done.stderr
    done = run_harness(*arguments, "--ipc", "none", "--budget", "30s", "--no-judge", "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    record = record_of(tmp_path / "run")
    assert record["plan"]["predicted_ipc"] == pytest.approx(record["ipc"]["mean"], rel=0.05)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_compiled_run_keeps_its_time_and_its_cold_start_is_on_the_clock(tmp_path: Path) -> None:
    arguments = ("--dataset", "digits", "--generator", "native", "--set", "compile=yes", "--no-judge")
    done = run_harness(*arguments, "--ipc", "30", "--budget", "400s", "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    record = record_of(tmp_path / "run")
    assert record["outcome"] == "ok" and record["ipc"]["min"] == record["ipc"]["max"] == 30
    assert record["clock"]["cold"] is True and record["settings"]["compile"] == "yes"
    assert record["clock"]["ledger"]["warmup"] > 3.0, "compiling takes longer than any batch"
    assert record["clock"]["ledger"]["profile"] == 0.0, "no sizes are tried"
    assert not (tmp_path / "run" / ".compiled").exists()
