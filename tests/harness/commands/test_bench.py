"""`bench` on real runs: failures are rows, a second call does what is missing, the real images are judged once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluation.base.command_line import ExitCode
from evaluation.base.files import claimed
from harness.commands.bench import BenchOptions, bench, parse_list
from harness.report.console import Voice

QUICK: dict[str, Any] = {"datasets": ("digits",), "ipc": 2, "rounds": 1, "epochs": 1, "device": "cpu"}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A benchmark of a generator, and of a program that fails; its cache is its own."""
    folder = tmp_path_factory.mktemp("bench")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        options = BenchOptions(generators=("gaussian",), command="false", name="broken", out=folder / "out", **QUICK)
        assert bench(options, Voice()) is ExitCode.DONE
    return folder


def rows_of(folder: Path) -> dict[str, Any]:
    told = json.loads((folder / "out" / "bench.json").read_text())
    return {f"{row['name']}-{row['seed']}": row for row in told["runs"]}


@pytest.mark.slow
def test_a_failure_is_a_row(first: Path) -> None:
    rows = rows_of(first)
    assert rows["gaussian-0"]["outcome"] == "ok" and rows["gaussian-0"]["accuracy"]["rounds"]
    assert rows["broken-0"]["outcome"] == "crashed" and "exit code 1" in rows["broken-0"]["sentence"]
    for name in ("bench.csv", "bench.md", "bench.html"):
        assert "broken" in (first / "out" / name).read_text()


@pytest.mark.slow
def test_a_second_call_does_what_is_missing(
    first: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a kill leaves: a run without an accuracy, whose images are there, and one that was still generating."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(first / "cache"))
    done = first / "out" / "runs" / rows_of(first)["gaussian-0"]["folder"] / "record.json"
    before = json.loads(done.read_text())
    done.write_text(json.dumps({**before, "accuracy": None, "baseline": None}))
    again = BenchOptions(generators=("gaussian", "noise"), out=first / "out", **QUICK)
    plan = again.plan()
    unfinished = next(cell for cell in plan.cells() if cell.name == "noise")
    half = first / "out" / "runs" / unfinished.folder
    half.mkdir()
    half.joinpath("record.json").write_text(
        json.dumps(
            {
                **before,
                "outcome": "interrupted",
                "clock": None,
                "audits": [],
                "accuracy": None,
                "ipc": None,
                "images": 0,
            }
        )
    )
    assert bench(again, Voice()) is ExitCode.DONE
    assert "2 of 2" in capsys.readouterr().out
    after = json.loads(done.read_text())
    assert after["clock"] == before["clock"], "the images were not made again"
    assert after["accuracy"]["rounds"] == before["accuracy"]["rounds"]
    assert after["baseline"] == before["baseline"], "judged once, with its seconds, and kept"
    assert json.loads((half / "record.json").read_text())["generator"] == "noise"
    assert len(list((first / "cache").rglob("baselines/digits-*.json"))) == 1

    bench(again, Voice())
    assert " of 2:" not in capsys.readouterr().out, "nothing is left to do"


def test_what_it_cannot_read_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    asked = BenchOptions(generators=("noise",), seeds=2, out=tmp_path, **QUICK)
    interrupted, damaged = (tmp_path / "runs" / cell.folder for cell in asked.plan().cells())
    for folder in (interrupted, damaged):
        (folder / "images").mkdir(parents=True)
        (folder / "log.txt").touch()
    (damaged / "record.json").write_text("{")
    with pytest.raises(ValueError, match=r"is no record of schema 1.*; move it, or choose another --out"):
        bench(asked, Voice())
    assert (damaged / "record.json").exists() and interrupted.exists(), "nothing was begun"
    (damaged / "record.json").unlink()
    with claimed(damaged), pytest.raises(ValueError, match="another harness is at work"):
        bench(asked, Voice())
    (damaged / "log.txt").rename(damaged / "mine.txt")
    with pytest.raises(ValueError, match="holds no run, and is in the way of one"):
        bench(asked, Voice())
    assert (damaged / "mine.txt").exists()
    with pytest.raises(ValueError, match="is no folder; choose another --out"):
        bench(replace(asked, out=damaged / "mine.txt"), Voice())


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({}, "needs --generators"),
        ({"generators": ("noise",)}, "and --datasets"),
        ({"generators": ("noise",), "datasets": ("mnist",)}, "datasets.0: there is no data set"),
        ({"command": "x", "datasets": ("digits",)}, "needs a name"),
        ({"generators": ("noise", "noise"), "datasets": ("digits",)}, "two entries are called noise"),
        ({"plan_file": Path("x.yaml"), "datasets": ("digits",)}, "leave out --generators"),
        ({"engine": "slurm"}, "there is no engine 'slurm'"),
    ],
)
def test_bad_options_are_one_sentence(asked: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        BenchOptions(**asked).plan()


def test_lists_as_people_write_them() -> None:
    assert parse_list("a, b") == ("a", "b")
    with pytest.raises(ValueError, match="empty part"):
        parse_list("a,,b")
