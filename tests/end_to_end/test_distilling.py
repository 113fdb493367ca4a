"""`distilling` under the clock: what was learned in the run is in its folder, and the ledger has it as loading."""

from __future__ import annotations

from pathlib import Path

from tests.end_to_end.harness_process import record_of, run_harness


def test_prototypes_are_learned_on_the_clock(tmp_path: Path) -> None:
    run = tmp_path / "run"
    few = ("--set", "updates=3", "--set", "prototypes=4", "--ipc", "4")
    done = run_harness("--dataset", "digits", "--generator", "distilling", *few, "--no-judge", "--out", run)
    assert done.returncode == 0, done.stderr
    record = record_of(run)
    assert record["outcome"] == "ok" and record["images"] == 40
    assert "learned 4 prototypes a class in 3 steps" in (run / "log.txt").read_text(encoding="utf-8")
    ledger = record["clock"]["ledger"]
    assert ledger["load"] > ledger["generate"]
    assert {audit["name"]: audit["status"] for audit in record["audits"]}["leakage"] == "pass"
