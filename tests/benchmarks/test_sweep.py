"""The sweeps on digits, as small as they go."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import sweep
from benchmarks.images.fewer_classes import every_nth
from benchmarks.sweep import ARMS, parse_values
from evaluation.base.challenge import get_challenge
from evaluation.base.images import first_of_each
from evaluation.data.datasets import load_split
from submission.contract.generator import LoadContext
from submission.generators.native import Native

FEW = ("--dataset", "digits", "--epochs", "2", "--rounds", "1")


def run(monkeypatch: pytest.MonkeyPatch, out: Path, arm: str, *options: str) -> dict[str, Any]:
    monkeypatch.setattr(sys, "argv", ["sweep", arm, *FEW, "--out", str(out), *options])
    sweep.main()
    report: dict[str, Any] = json.loads(out.read_text())
    return report


def test_writes_weights_with_the_settings_of_the_most_accurate_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = tmp_path / "best.safetensors"
    values = ["--set", "solver=ipndm", "--set", "steps=1,2", "--set", "guidance=1,1.5", "--ipc", "3"]
    rows = run(monkeypatch, tmp_path / "sweep.json", "sampling", *values, "--write", str(best))["rows"]
    assert len(rows) == 4
    chosen = max(rows, key=lambda row: row["accuracy"])["settings"]
    native = Native.load(LoadContext(get_challenge("digits"), "cpu", best))
    assert native.solver == "ipndm" and native.guidance == float(chosen["guidance"])
    assert Native.default_steps(best) == chosen["steps"]


def test_continues_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, axes = tmp_path / "sweep.json", ("--set", "components=20", "--set", "covariance=scaled", "--ipc", "3")
    first = run(monkeypatch, out, "gaussian", *axes, "--set", "clusters=1")["rows"]
    both = run(monkeypatch, out, "gaussian", *axes, "--set", "clusters=1,2")["rows"]
    assert both[0] == first[0]  # with its seconds: it was not measured again
    assert [row["settings"]["clusters"] for row in both] == [1, 2]
    assert both[0]["ipc"] == 3 and both[0]["distance"] != both[1]["distance"] and both[0]["median"] > 0


def test_prototypes_are_distilled_and_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipes = sweep.RECIPES
    monkeypatch.setitem(recipes, "digits", replace(recipes["digits"], ages=(0, 1), start_images=2))
    few = first_of_each(load_split(get_challenge("digits"), "train", None), 60)
    monkeypatch.setattr(sweep, "load_split", lambda *asked: few)
    small = ("--set", "prototypes=3", "--set", "steps=2", "--experts", str(tmp_path))
    rows = run(monkeypatch, tmp_path / "sweep.json", "distilled", *small, "--set", "groups=1,2")["rows"]
    assert [row["settings"]["groups"] for row in rows] == [1, 2]
    assert all(row["ipc"] == 3 and row["apart"] > 0 for row in rows)
    assert rows[0]["groups_apart"] == 0 < rows[1]["groups_apart"]


def test_fewer_classes_are_a_sweep_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, axes = tmp_path / "sweep.json", ("--set", "components=20", "--set", "covariance=scaled", "--set", "clusters=1")
    fewer = run(monkeypatch, out, "gaussian", *axes, "--ipc", "3", "--every", "3")
    assert fewer["classes"] == 4  # 0, 3, 6 and 9
    with pytest.raises(SystemExit, match="another --out"):
        run(monkeypatch, out, "gaussian", *axes, "--ipc", "3")


def test_classes_that_cannot_be_fewer_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run(monkeypatch, tmp_path / "sweep.json", "gaussian", "--every", "10")
    assert "N must be between 1 and 9" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run(monkeypatch, tmp_path / "sweep.json", "sampling", "--every", "2")
    assert "weights have all classes" in capsys.readouterr().err


def test_labels_of_fewer_classes_count_on() -> None:
    digits = get_challenge("digits")
    test = load_split(digits, "test", None)
    fewer, (images,) = every_nth(digits, 4, test)
    assert fewer.class_names == ("0", "4", "8")
    for label, before in enumerate((0, 4, 8)):
        assert (images.images[images.labels == label] == test.images[test.labels == before]).all()
    assert set(images.labels) == {0, 1, 2}


def test_a_file_of_another_sweep_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "sweep.json"
    out.write_text(before := json.dumps({"dataset": "digits", "sweep": "distilled", "rows": []}))
    with pytest.raises(SystemExit, match="another --out"):
        run(monkeypatch, out, "gaussian", "--set", "components=20")
    assert out.read_text() == before


def test_values_have_the_type_of_the_setting() -> None:
    values = parse_values(ARMS["gaussian"], ["clusters=1,8", "mirrored=yes", "spread=1,0.5"])
    assert values["clusters"] == (1, 8) and values["mirrored"] == (True,) and values["spread"] == (1.0, 0.5)
    with pytest.raises(ValueError, match="cannot be varied"):
        parse_values(ARMS["distilled"], ["mirrored=yes"])
    with pytest.raises(ValueError, match="yes or no"):
        parse_values(ARMS["gaussian"], ["mirrored=1"])
