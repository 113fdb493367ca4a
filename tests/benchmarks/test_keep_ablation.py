"""The ablation of `--keep`: what each share is judged on."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import keep_ablation


def test_with_equal_ipc_every_share_keeps_as_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "keep.json"
    asked = ["--generator", "gaussian", "--equal-ipc", "--made", "5", "--keep", "1", "0.5", "--seeds", "2"]
    monkeypatch.setattr(sys, "argv", ["keep_ablation", *asked, "--epochs", "1", "--out", str(out)])
    keep_ablation.main()
    told = json.loads(out.read_text())
    assert [share["ipc"] for share in told["shares"]] == [5, 5]
    assert told["shares"][1]["distance"] != told["shares"][0]["distance"]
    assert told["shares"][0]["gain"] == 0


def test_at_equal_seconds_a_share_pays_for_what_it_drops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "keep.json"
    asked = ["--steps", "1", "--made", "8", "--keep", "1", "0.5", "--seeds", "2", "--epochs", "1"]
    monkeypatch.setattr(sys, "argv", ["keep_ablation", *asked, "--out", str(out)])
    keep_ablation.main()
    whole, half = json.loads(out.read_text())["shares"]
    assert whole["ipc"] == 8
    assert 0 < half["ipc"] <= 4


def test_says_where_scoring_costs_more_than_there_is_time_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["--generator", "gaussian", "--made", "2", "--keep", "0.5", "--seeds", "1", "--epochs", "1"]
    monkeypatch.setattr(sys, "argv", ["keep_ablation", *asked, "--out", str(tmp_path / "keep.json")])
    with pytest.raises(SystemExit, match="--equal-ipc"):
        keep_ablation.main()
