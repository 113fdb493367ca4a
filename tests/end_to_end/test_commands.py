"""The commands beside `run`, as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.end_to_end.harness_process import run_harness


def test_doctor_says_that_digits_run_here() -> None:
    done = run_harness("doctor", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["ready"] is True


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("anytime", "no-such-run"), "there is no record"),
        (("anytime", "no-such-run", "--at", "60,soon"), "'soon' is not a duration"),
        (("--dataset", "digits", "--as", "h200"), "rtx4090 or rtx3090"),
        (("--dataset", "digits", "--generator", "noise", "--pda", "0"), "--pda must be at least 1"),
        (("--dataset", "digits", "--generator", "noise", "--prompts", "none.json"), "cannot be read: No such file"),
        (("doctor", "--data", "/nonexistent"), "/nonexistent"),
    ],
)
def test_bad_input_gets_one_sentence_and_exit_2(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    done = run_harness(*arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert sentence in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_anytime_of_a_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    quick = ("--epochs", "1", "--rounds", "1")
    assert (
        run_harness("--dataset", "digits", "--generator", "noise", "--ipc", "2", *quick, "--out", run).returncode == 0
    )
    done = run_harness("anytime", run, "--points", "2", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    record = json.loads((run / "record.json").read_text(encoding="utf-8"))
    assert told == json.loads((run / "anytime.json").read_text(encoding="utf-8"))
    assert told["points"][-1]["accuracy"] == record["accuracy"]  # as the run was judged
    assert 0 <= told["area"] <= 1
    assert "Accuracy over time" in (run / "report.html").read_text(encoding="utf-8")
