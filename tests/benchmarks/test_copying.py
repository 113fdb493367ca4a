"""What the two ways of looking for copies say of generators that copy and of those that do not."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import copying


def run(monkeypatch: pytest.MonkeyPatch, out: Path, arm: str, *options: str) -> dict[str, Any]:
    monkeypatch.setattr(sys, "argv", ["copying", arm, "--dataset", "digits", "--out", str(out), *options])
    copying.main()
    report: dict[str, Any] = json.loads(out.read_text())
    return report


def test_clusters_of_single_images_are_nearer_to_the_half_that_was_fitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--clusters", "100", "--leasts", "1", "30", "--spreads", "0.3"]
    report = run(monkeypatch, tmp_path / "halves.json", "halves", *options)
    copies, blurred = report["rows"]
    assert copies["clusters_used"] > blurred["clusters_used"]
    assert copies["nearer_to_fitted"] > blurred["nearer_to_fitted"] + 0.1
    assert copies["much_nearer_to_fitted"] > copies["much_nearer_to_other"]


def test_generated_images_beside_held_out_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = run(monkeypatch, tmp_path / "held-out.json", "held-out", "--generator", "gaussian", "--ipc", "4")
    assert report["ipc"] == 4 and report["steps"] == 1 and report["weights"]["clusters"] > 1
    assert 0 <= report["near_copies"] <= 1 and 0 < report["nearest"] <= report["median"]
