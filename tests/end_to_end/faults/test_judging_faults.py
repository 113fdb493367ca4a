"""What goes wrong between the clock and the score, and what a run that is resumed does with it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from harness.records.run_folder import RunFolder, held
from harness.report.console import Voice
from harness.run.options import RunOptions
from harness.run.run import Finished, run
from tests.end_to_end.faults.harness_at_work import HarnessAtWork, record_of
from tests.end_to_end.faults.matrix import Row, proves, run_with
from tests.end_to_end.faults.test_generation_faults import command_of


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("painted") / "run"
    with pytest.MonkeyPatch.context() as patch:
        run_with(folder, patch, command=command_of("paint_each_class"), budget_s=60.0)
    return folder


@pytest.fixture
def copied(painted: Path, tmp_path: Path) -> Path:
    shutil.copytree(painted, tmp_path / "run")
    return tmp_path / "run"


def resume(folder: Path, **judging: Any) -> Finished:
    how = {"epochs": 1, "rounds": 1, "device": "cpu", **judging}
    return run(RunOptions("digits", resume=True, out=folder, **how), Voice(), [])


def crash_at_the_third_step(folder: Path) -> None:
    from evaluation.judge.checkpoint import Monitor

    after_steps = Monitor.after_steps

    def crashing(self: Monitor, seed: int, steps_done: int, *rest: Any) -> None:
        after_steps(self, seed, steps_done, *rest)
        if steps_done == 3:
            raise RuntimeError("the card fell off the bus")

    Monitor.after_steps = crashing  # type: ignore[method-assign]


@pytest.mark.slow
@proves(Row("The judge crashes in the middle of a round", "exit code 4", "record and report; `--resume` judges again"))
def test_a_crash_of_the_judge_costs_no_images(copied: Path, tmp_path: Path) -> None:
    (copied / "report.html").unlink()
    arguments = ["--dataset", "digits", "--resume", "--out", str(copied), "--epochs", "6", "--rounds", "1"]
    harness = HarnessAtWork(tmp_path / "work", arguments, plant=crash_at_the_third_step)
    try:
        assert harness.ended() == 4
    finally:
        harness.close()
    assert "the card fell off the bus" in harness.printed and "Traceback" not in harness.printed
    assert record_of(copied)["images"] == 10 and (copied / "report.html").exists()
    assert resume(copied).record.accuracy is not None


@proves(Row("A checkpoint that is damaged", "exit code 2", "everything; one sentence says to delete it"))
def test_a_damaged_checkpoint_is_told(copied: Path) -> None:
    (copied / "judging.ckpt").write_bytes(b"half a checkpoint")
    with pytest.raises(ValueError, match="delete it to start over"):
        resume(copied)
    (copied / "judging.ckpt").unlink()
    assert resume(copied).record.accuracy is not None


@proves(Row("A record that is cut off", "exit code 2", "everything; one sentence says what is wrong with it"))
def test_a_record_that_is_cut_off_is_told(copied: Path) -> None:
    record = copied / "record.json"
    record.write_bytes(record.read_bytes()[:300])
    with pytest.raises(ValueError, match="is no record of schema 1"):
        resume(copied)


@proves(Row("Images that were changed after the clock", "exit code 2", "everything; they are not judged as the run's"))
def test_other_images_are_not_judged_as_the_runs_own(copied: Path) -> None:
    Image.new("RGB", (32, 32)).save(next(copied.glob("images/*/*.png")))
    with pytest.raises(ValueError, match="not those that the run made"):
        resume(copied)


@proves(
    Row("A second run into the same folder", "exit code 2", "the first run, untouched"),
    Row("Two harnesses that resume one run", "exit code 2 for the second", "the first goes on"),
)
def test_a_folder_belongs_to_one_run_and_one_harness(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="exists already"):
        run_with(copied, monkeypatch, command=command_of("paint_each_class"))
    with held(RunFolder(copied)), pytest.raises(ValueError, match="another harness is at work"):
        resume(copied)
    assert record_of(copied)["outcome"] == "ok"
