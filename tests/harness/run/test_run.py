"""The main job in one process: what it leaves, how it ends, and what it goes on with."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

import harness.run.judging as judging
from evaluation.base.command_line import ExitCode
from harness.clock.ledger import Ledger
from harness.clock.supervisor import Ending
from harness.planning.batch_trial import BatchTrial, Pace
from harness.records.record import Outcome, Record
from harness.records.run_folder import RunFolder, held
from harness.report.console import Voice
from harness.run.generation import Generation
from harness.run.options import RunOptions
from harness.run.run import Finished, run
from tests.forked import run_forked

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


def test_a_folder_that_is_taken_is_told_before_any_data_is_wanted(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.touch()
    with pytest.raises(ValueError, match="exists already; choose another --out"):
        run(replace(QUICK, dataset="cifar100", data=tmp_path / "no data", out=taken), Voice(), [])


def test_what_cannot_be_resumed_is_refused(copied: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--resume needs --out"):
        run(replace(QUICK, resume=True), Voice(), [])
    with pytest.raises(ValueError, match="no run to resume"):
        run(replace(resumed(tmp_path), judged=False), Voice(), [])
    folder = RunFolder(copied)
    Record.load(folder.record).model_copy(update={"clock": None}).save(folder.record)
    with pytest.raises(ValueError, match="start a new run"):
        run(resumed(copied), Voice(), [])


@pytest.mark.parametrize(
    ("script", "outcome", "said"),
    [
        ("rm -r $out", Outcome.INVALID_OUTPUT, "is gone"),
        ("rm -r $out; echo x > $out", Outcome.INVALID_OUTPUT, "replaced by a file"),
        ("rm -r $run", Outcome.INVALID_OUTPUT, "is gone"),
        ("rm -r $run; echo x > $run", Outcome.INVALID_OUTPUT, "is gone"),
        ("rm $run/record.json; mkdir $run/record.json $run/report.html", Outcome.NO_IMAGES, "without an image"),
    ],
)
def test_a_clock_that_was_held_is_recorded_whatever_became_of_the_folder(
    tmp_path: Path, script: str, outcome: Outcome, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    finished = run(shell(tmp_path, script), Voice(), [])
    assert finished.exit_code is ExitCode.NOTHING_TO_JUDGE and finished.report.is_file()
    (found,) = (path for path in tmp_path.rglob("record.json") if path.is_file())
    record = Record.load(found)
    assert record.outcome is outcome and record.detail is not None and said in record.detail
    assert record.clock is not None and record.clock.ledger.total == record.clock.ended - record.clock.started > 0
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")
@pytest.mark.parametrize("size", ["6m", "300k"])
def test_a_full_disk_keeps_what_was_whole_and_leaves_record_and_report(
    tmp_path: Path, generated: Finished, size: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The room that is kept on a disk of some megabytes is enough; on a smaller one they are written elsewhere."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        fill = f"cp -r {generated.folder}/images/. $out; dd if=/dev/zero of=$out/fill bs=4k; exit 0"
        finished = run(replace(shell(tmp_path, fill), out=disk / "run", judged=True, epochs=1, rounds=1), Voice(), [])
        (record,) = tmp_path.rglob("record.json")
        assert finished.exit_code is ExitCode.DONE and finished.report.is_file()
        assert (finished.report.parent == disk / "run") == (size == "6m")
        assert Record.load(record) == finished.record
        assert (finished.record.images, finished.record.outcome) == (20, Outcome.OK)
        assert finished.record.clock is not None and finished.record.accuracy is not None
        assert not list(tmp_path.rglob("*.part"))
    finally:
        subprocess.run(["umount", disk], check=True)


def shell(folder: Path, script: str) -> RunOptions:
    """A run of a shell script that finds its output folder as $out and the run's as $run."""
    (folder / "make.sh").write_text(f"out=$1\nrun=$(dirname $1)\n{script}\n")
    return RunOptions("digits", command=f"sh {folder / 'make.sh'} {{output}}", judged=False, out=folder / "run")


def test_two_harnesses_do_not_work_in_one_folder(copied: Path) -> None:
    with held(RunFolder(copied)), pytest.raises(ValueError, match="another harness is at work"):
        run(resumed(copied), Voice(), [])


def test_how_the_clock_ended_survives_as_a_file(tmp_path: Path) -> None:
    ending = Ending(
        started=1.5,
        deadline=4.0,
        ended=4.25,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        reason="deadline",
        killed_after_s=0.25,
        returncode=-9,
        out_of_memory=False,
        stragglers=2,
        isolation="process",
    )
    trial = BatchTrial(((8, 0.5),), 8, 16, 1.0, Pace(32, 4.0, 0.5))
    clocked = Generation(
        ending, Ledger(load=1.0, generate=1.75, killed_after_s=0.25), "clock", None, "why", None, trial
    )
    clocked.save(tmp_path / "generation.json")
    assert Generation.load(tmp_path / "generation.json") == clocked
    (tmp_path / "generation.json").write_text("{}")
    with pytest.raises(ValueError, match="start a new run"):
        Generation.load(tmp_path / "generation.json")


def test_the_judges_own_command_judges_a_run_as_the_run_would_have(copied: Path, tmp_path: Path) -> None:
    shutil.copytree(copied, tmp_path / "elsewhere")
    own = run(resumed(copied), Voice(), []).record
    words = [str(tmp_path / "elsewhere"), "--rounds", "1", "--epochs", "1", "--device", "cpu"]
    done = run_forked("evaluation", words, folder=tmp_path, environment=os.environ, timeout=240)
    assert done.returncode == 0, done.stderr
    folder = RunFolder(tmp_path / "elsewhere")
    there = Record.load(folder.record)
    assert own.accuracy is not None and there.accuracy is not None and there.judged_on is not None
    assert there.accuracy.rounds == own.accuracy.rounds and there.audits == own.audits and there.ipc == own.ipc
    kept = {"accuracy", "judged_on", "baseline"}
    assert there.model_dump(exclude=kept) == own.model_dump(exclude=kept)
    page = folder.report.read_text(encoding="utf-8")
    assert f"Accuracy {100 * own.accuracy.mean:.2f}%" in page and page.count("Judged later") == 1
    drawn = run(replace(resumed(tmp_path / "elsewhere"), judged=False), Voice(), [])
    assert drawn.record.accuracy == there.accuracy, "and the harness goes on from it"
    page = drawn.report.read_text(encoding="utf-8")
    assert "Judged later" not in page and "Comparison with published results" in page
