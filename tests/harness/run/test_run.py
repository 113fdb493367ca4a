"""The main job in one process: what it leaves, how it ends, and what it goes on with."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import harness.run.judging as judging
from evaluation.base.command_line import ExitCode
from harness.records.record import Outcome, Record
from harness.records.run_folder import RunFolder
from harness.report.console import Voice
from harness.run.options import RunOptions
from harness.run.run import Finished, run

QUICK = RunOptions("digits", "noise", ipc=2, epochs=1, rounds=1, device="cpu")


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("run") / "run"
    return run(replace(QUICK, judged=False, out=folder), Voice(), ["the", "command"])


@pytest.fixture
def copied(generated: Finished, tmp_path: Path) -> Path:
    shutil.copytree(generated.folder, tmp_path / "run")
    return tmp_path / "run"


def resumed(folder: Path) -> RunOptions:
    return replace(QUICK, resume=True, out=folder)


def test_a_run_leaves_images_record_and_report(generated: Finished) -> None:
    folder = RunFolder(generated.folder)
    record = Record.load(folder.record)
    assert generated.exit_code is ExitCode.DONE and record == generated.record
    assert (record.outcome, record.images, record.accuracy, record.command) == (
        Outcome.OK,
        20,
        None,
        ["the", "command"],
    )
    assert len(list(folder.images.rglob("*.png"))) == 20 and folder.report.exists()
    assert {audit.name for audit in record.audits} >= {"leakage", "balance", "files"}


def test_throughput_is_of_the_time_used(generated: Finished) -> None:
    clock, throughput = generated.record.clock, generated.record.throughput
    assert clock is not None and throughput is not None
    assert throughput.images_per_s * (clock.ended - clock.started) == pytest.approx(20)
    assert clock.ended < clock.deadline - 1, "the cap ended it, long before the deadline"


def test_nothing_to_judge_is_an_exit_code_of_its_own(tmp_path: Path) -> None:
    options = RunOptions("digits", command="true", judged=False, out=tmp_path / "run")
    finished = run(options, Voice(), [])
    assert finished.exit_code is ExitCode.NOTHING_TO_JUDGE and finished.record.outcome is Outcome.NO_IMAGES
    assert (finished.folder / "report.html").exists()
    clock = finished.record.clock
    assert clock is not None and clock.ledger.generate == clock.ledger.total > 0, "nothing else is known of a command"


def test_an_interruption_while_judging_costs_no_images(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_arguments: object, **_named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(judging, "judge", interrupted)
    finished = run(resumed(copied), Voice(), [])
    assert finished.exit_code is ExitCode.INTERRUPTED and finished.record.accuracy is None
    monkeypatch.undo()
    again = run(resumed(copied), Voice(), [])
    assert again.exit_code is ExitCode.DONE and again.record.accuracy is not None and again.record.baseline is not None
    assert again.record.clock == finished.record.clock


def test_what_cannot_be_resumed_is_refused(copied: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--resume needs --out"):
        run(replace(QUICK, resume=True), Voice(), [])
    with pytest.raises(ValueError, match="no run to resume"):
        run(replace(resumed(tmp_path), judged=False), Voice(), [])
    folder = RunFolder(copied)
    Record.load(folder.record).model_copy(update={"clock": None}).save(folder.record)
    with pytest.raises(ValueError, match="start a new run"):
        run(resumed(copied), Voice(), [])
