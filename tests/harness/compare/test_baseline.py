"""The baseline's file, and the task in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.compare.baseline import Measurement, Task
from tests.harness.compare.measurements import measurement

ROOT = Path(__file__).resolve().parents[3]


def test_it_comes_back_as_it_was_written(tmp_path: Path) -> None:
    kept = measurement({1: (0.5, 0.6), 5: (0.7, 0.8)})
    kept.save(tmp_path / "b.json")
    assert Measurement.load(tmp_path / "b.json") == kept
    assert Measurement.load(tmp_path / "none.json") is None


def test_another_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text('{"schema": 1}')
    with pytest.raises(ValueError, match="no baseline of schema 1: task"):
        Measurement.load(tmp_path / "b.json")


def test_a_task_makes_a_run_that_judges_nothing() -> None:
    options = Task(dataset="digits", generator="noise", ipc=(1, 7), seed=3).run_options(None, "cpu", None)
    assert (options.ipc_cap, options.seed, options.judged, options.generator_name) == (7, 3, False, "noise")


def test_what_is_wrong_is_named() -> None:
    with pytest.raises(ValueError, match="dataset: Input should be 'cifar100'"):
        Task(dataset="digits").changed({"dataset": "mnist"})


def test_the_committed_baseline_can_show_a_drop() -> None:
    kept = Measurement.load(ROOT / "benchmarks" / "results" / "digits-baseline.json")
    assert kept is not None and kept.task.dataset == "digits"
    assert len(kept.scores) >= 2 and all(score.mean < 0.92 and len(score.rounds) >= 3 for score in kept.scores.values())
