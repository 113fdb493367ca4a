"""What the judge writes into the folder of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaluation.base.challenge import get_challenge
from evaluation.base.files import claimed
from evaluation.base.machine import this_machine
from evaluation.commands.judged_run import held_run, keep, why_not_kept, with_judgement
from evaluation.submitted.run_record import challenge_of, read_run

DIGITS = get_challenge("digits")
AUDIT = {"name": "class_order", "status": "warn", "evidence": "1 < 2", "numbers": {}, "conclusive": True}


def _found(epochs: int = 5) -> dict[str, Any]:
    """What a judgement prints."""
    return {
        "ipc": {"mean": 1.0, "min": 1, "max": 1, "distinct": 1.0},
        "accuracy": {"mean": 0.5, "epochs": epochs, "rounds": [0.5]},
        "audits": [AUDIT],
        "epochs": epochs,
        "real_equivalent_ipc": None,
        "real_equivalent": None,
    }


def _run(folder: Path, **content: Any) -> Path:
    told = {"dataset": "digits", "generator": "noise", "ipc": {"mean": 1.0, "min": 1, "max": 1, "generated": 1.0}}
    folder.mkdir(exist_ok=True)
    (folder / "record.json").write_text(json.dumps({**told, **content}))
    return folder


def _keep(folder: Path, found: dict[str, Any]) -> dict[str, Any]:
    run = read_run(folder)
    assert run is not None
    keep(run, found, this_machine(), ["Accuracy 50.00%.", "A <preview>."], DIGITS)
    content: dict[str, Any] = json.loads((folder / "record.json").read_text())
    return content


def test_the_record_gets_what_was_found_and_keeps_the_rest(tmp_path: Path) -> None:
    kept = _keep(_run(tmp_path / "run", seed=7, mine={"any": 1}), _found())
    assert (kept["seed"], kept["mine"], kept["generator"]) == (7, {"any": 1}, "noise")
    assert kept["accuracy"]["mean"] == 0.5 and kept["audits"] == [AUDIT]
    assert kept["ipc"] == {"mean": 1.0, "min": 1, "max": 1, "generated": 1.0, "distinct": 1.0}
    assert kept["judged_on"]["versions"]["torch"]


def test_a_failed_audit_that_is_fatal_leaves_the_accuracy_as_it_was(tmp_path: Path) -> None:
    folder = _run(tmp_path / "run", accuracy=None)
    kept = _keep(folder, {**_found(), "accuracy": None})
    assert kept["accuracy"] is None and kept["audits"] == [AUDIT] and "real_equivalent" not in kept


def test_a_baseline_of_other_epochs_goes(tmp_path: Path) -> None:
    baseline = {"ipc": 1.0, "accuracy": {"epochs": 5}}
    assert _keep(_run(tmp_path / "run", baseline=baseline), _found(5))["baseline"] == baseline
    assert _keep(_run(tmp_path / "run", baseline=baseline), _found(9))["baseline"] is None


def test_the_report_says_it_once_at_its_top_whatever_it_was(tmp_path: Path) -> None:
    folder = _run(tmp_path / "run")
    for page in (None, "not a page", "<body><main>\n<h1>Run</h1></main></body>"):
        if page:
            (folder / "report.html").write_text(page)
        for _ in range(2):
            _keep(folder, _found())
        told = (folder / "report.html").read_text()
        assert told.count("Judged later") == told.count("Accuracy 50.00%.") == told.count("class order") == 1
        assert "A &lt;preview&gt;." in told and "1 &lt; 2" in told
    assert told.index("Judged later") < told.index("<h1>Run</h1>")
    assert with_judgement(with_judgement("<main>x", "1"), "2").endswith("x")


def test_a_lesser_judgement_does_not_take_the_place_of_the_runs_own(tmp_path: Path) -> None:
    run = read_run(_run(tmp_path / "run", accuracy={"epochs": 1000, "rounds": [0.5, 0.5, 0.5]}))
    assert run is not None and run.judged == (1000, 3)
    told = why_not_kept(run, False, 1000, 2)
    assert told is not None and "keeps its accuracy, which is of 1,000 epochs and 3 rounds" in told
    assert why_not_kept(run, False, 1000, 3) is None
    assert "--class-order" in (why_not_kept(run, True, 1000, 3) or "")


def test_nobody_writes_where_a_harness_is_at_work(tmp_path: Path) -> None:
    run = read_run(_run(tmp_path / "run"))
    with claimed(tmp_path / "run"), pytest.raises(ValueError, match="a harness is at work"), held_run(run):
        pass


def test_the_data_set_is_the_runs_own(tmp_path: Path) -> None:
    run = read_run(_run(tmp_path / "run"))
    assert challenge_of(None, run, tmp_path) == challenge_of("digits", run, tmp_path) == DIGITS
    with pytest.raises(ValueError, match="is of digits, not of cifar100; leave out --dataset"):
        challenge_of("cifar100", run, tmp_path)
    with pytest.raises(ValueError, match="is no run, so nothing says which data set it is for; give --dataset"):
        challenge_of(None, read_run(tmp_path), tmp_path)
    with pytest.raises(ValueError, match="choose one of"):
        challenge_of("letters", run, tmp_path)
