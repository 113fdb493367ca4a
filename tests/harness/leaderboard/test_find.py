"""Runs are found in folders, folders of folders and benchmarks, each once."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.leaderboard.find import find_runs


def make(folder: Path) -> Path:
    (folder / "images").mkdir(parents=True)
    (folder / "record.json").write_text("{}")
    return folder


def test_runs_in_whatever_was_named(tmp_path: Path) -> None:
    alone, bench = make(tmp_path / "alone"), tmp_path / "bench"
    make(bench / "runs" / "b")
    make(bench / "runs" / "a")
    (bench / "logs").mkdir()
    found = find_runs([alone, bench, alone / "record.json", bench / "runs" / "a"])
    assert [run.shown for run in found] == ["alone", "bench/runs/a", "bench/runs/b"]
    assert found[1].folder == bench / "runs" / "a"


def test_nothing_inside_a_run_and_no_link_is_followed(tmp_path: Path) -> None:
    inside = make(tmp_path / "runs" / "outer")
    make(inside / "inner")
    make(inside / "images" / "planted")
    (tmp_path / "runs" / "link").symlink_to(make(tmp_path / "elsewhere"))
    make(tmp_path / "runs" / ".hidden")
    assert [run.shown for run in find_runs([tmp_path / "runs"])] == ["runs/outer"]


def test_a_folder_named_by_a_dot_has_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(make(tmp_path / "mine"))
    assert [run.shown for run in find_runs([Path()])] == ["mine"]


@pytest.mark.parametrize(("name", "sentence"), [("gone", "there is no folder"), ("empty", "there is no run in")])
def test_what_holds_no_run_is_told(tmp_path: Path, name: str, sentence: str) -> None:
    (tmp_path / "empty" / "images").mkdir(parents=True)
    with pytest.raises(ValueError, match=sentence):
        find_runs([tmp_path / name])
