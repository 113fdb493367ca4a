"""`--dataset all`: one run after the other, each with its own clock, and their score."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import harness.run.run_all as run_all_module
from evaluation.base.command_line import ExitCode
from evaluation.base.files import claimed
from harness.records.challenge_score import ChallengeScore
from harness.records.record import Record
from harness.report.console import Voice
from harness.report.score_page import score_words
from harness.run.options import RunOptions
from harness.run.run_all import Scored, run_all, run_each
from tests.end_to_end.harness_process import run_harness
from tests.real_data import real_data

QUICK = RunOptions("digits", "noise", ipc=2, epochs=1, rounds=2, device="cpu")


def _both(root: Path, *parts: RunOptions) -> Scored:
    folders = [replace(part, out=root / name) for part, name in zip(parts, ("a", "b"), strict=True)]
    return run_each(folders, root, Voice(), ["the", "command"])


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Scored:
    return _both(tmp_path_factory.mktemp("all") / "all", QUICK, replace(QUICK, seed=1))


@pytest.fixture
def root(scored: Scored, tmp_path: Path) -> Path:
    shutil.copytree(scored.page.parent, tmp_path / "all")
    return tmp_path / "all"


def test_all_stands_for_both_challenges_in_folders_of_their_own(tmp_path: Path) -> None:
    parts = RunOptions("all", budget_s=30.0, epochs=7).parts(tmp_path)
    assert [part.dataset for part in parts] == ["cifar100", "tiny-imagenet"]
    assert [part.out for part in parts] == [tmp_path / "cifar100", tmp_path / "tiny-imagenet"]
    assert all((part.budget_s, part.epochs) == (30.0, 7) for part in parts)
    with pytest.raises(ValueError, match="no generator is called 'nobody'"):
        RunOptions("all", "nobody")
    with pytest.raises(ValueError, match="--rounds must be at least 1"):
        RunOptions("all", rounds=0)


def test_the_score_is_the_mean_of_both_records(scored: Scored) -> None:
    root = scored.page.parent
    records = [Record.load(root / name / "record.json") for name in ("a", "b")]
    means = [record.accuracy.mean for record in records if record.accuracy]
    score = ChallengeScore.load(root / "score.json")
    assert scored.exit_code is ExitCode.DONE and score == scored.score
    assert score.score == pytest.approx(sum(means) / 2) and score.ci95 is not None and score.preview
    assert [run.images_hash for run in score.runs] == [record.images_hash for record in records]
    assert records[0].images_hash != records[1].images_hash
    clocks = [record.clock for record in records]
    assert clocks[0] is not None and clocks[1] is not None and clocks[1].started > clocks[0].ended
    page = scored.page.read_text(encoding="utf-8")
    assert 'href="a/report.html"' in page and 'href="b/report.html"' in page and "preview" in page
    assert (root / "a" / "report.html").exists()


def test_a_run_without_images_leaves_no_score_and_the_other_is_made(tmp_path: Path) -> None:
    fails = RunOptions("digits", command="true", judged=True, epochs=1, rounds=1, device="cpu")
    both = _both(tmp_path / "all", fails, QUICK)
    assert both.exit_code is ExitCode.NOTHING_TO_JUDGE
    assert both.score.score is None and both.score.missing == ["a"] and both.score.runs[1].accuracy is not None
    assert score_words(both.score) == "none: a has no accuracy"
    again = _both(tmp_path / "all", replace(fails, resume=True), replace(QUICK, resume=True))
    assert again.score == both.score and again.exit_code is ExitCode.NOTHING_TO_JUDGE


def test_what_is_done_stays_and_what_was_cut_off_is_made_again(root: Path, scored: Scored) -> None:
    record = json.loads((root / "b" / "record.json").read_text())
    record["outcome"], record["clock"]["ended_by"], record["accuracy"] = "interrupted", "interrupt", None
    (root / "b" / "record.json").write_text(json.dumps(record))
    before = (root / "a" / "record.json").read_bytes()
    again = _both(root, replace(QUICK, resume=True), replace(QUICK, seed=1, resume=True))
    assert (root / "a" / "record.json").read_bytes() == before
    assert again.score.score == scored.score.score, "the same seeds give the same images and rounds"
    there, first = (Record.load(path / "b" / "record.json") for path in (root, scored.page.parent))
    assert there.clock is not None and first.clock is not None and there.clock.started > first.clock.started


def test_resuming_removes_nothing_that_is_not_a_run(root: Path) -> None:
    (root / "b" / "record.json").write_text("{")
    with pytest.raises(ValueError, match="record"):
        _both(root, replace(QUICK, resume=True), replace(QUICK, seed=1, resume=True))
    (root / "b" / "record.json").unlink()
    with claimed(root / "b"), pytest.raises(ValueError, match="another harness is at work"):
        _both(root, replace(QUICK, resume=True), replace(QUICK, seed=1, resume=True))
    assert any((root / "b" / "images").rglob("*.png"))
    shutil.rmtree(root / "b")
    (root / "b").mkdir()
    (root / "b" / "mine.txt").touch()
    with pytest.raises(ValueError, match="holds no run"):
        _both(root, replace(QUICK, resume=True), replace(QUICK, seed=1, resume=True))
    assert (root / "b" / "mine.txt").exists()


def test_more_rounds_are_judged_of_the_images_that_are_there(root: Path, scored: Scored) -> None:
    again = _both(root, *(replace(QUICK, seed=seed, rounds=3, resume=True) for seed in (0, 1)))
    assert [len(run.rounds) for run in again.score.runs] == [3, 3]
    assert [run.images_hash for run in again.score.runs] == [run.images_hash for run in scored.score.runs]


def test_an_interruption_ends_all_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        run_all_module, "run", lambda *given: replace(_finished(*given), exit_code=ExitCode.INTERRUPTED)
    )
    both = _both(tmp_path / "all", replace(QUICK, judged=False), QUICK)
    assert both.exit_code is ExitCode.INTERRUPTED and both.score.missing == ["a", "b"]
    assert not (tmp_path / "all" / "b").exists()


_finished = run_all_module.run


def test_a_folder_that_is_there_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(ValueError, match="exists already"):
        run_all(RunOptions("all", out=tmp_path), Voice(), [])
    with pytest.raises(ValueError, match="--resume needs --out"):
        run_all(RunOptions("all", resume=True), Voice(), [])


@pytest.mark.slow
def test_both_challenges_on_the_real_data(tmp_path: Path) -> None:
    data = real_data("cifar-100-python", "tiny-imagenet-200")
    protocol = ("--epochs", "1", "--rounds", "2", "--ipc", "1", "--device", "cpu")
    done = run_harness(
        "--dataset", "all", "--generator", "gaussian", "--data", data, "--out", tmp_path / "all", *protocol, "--json"
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told == json.loads((tmp_path / "all" / "score.json").read_text())
    assert [run["dataset"] for run in told["runs"]] == ["cifar100", "tiny-imagenet"]
    assert told["score"] == pytest.approx(sum(run["accuracy"] for run in told["runs"]) / 2)
    first, second = (done.stderr.index(f"Ahead: {title}") for title in ("CIFAR-100", "Tiny-ImageNet"))
    assert first < second < done.stderr.index("Run 1 of 2"), "the costs of both are said before the first clock"
