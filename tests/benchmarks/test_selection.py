"""The comparison of selections says what was compared, and on what."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import selection
from evaluation.base.challenge import get_challenge
from evaluation.base.images import random_subset
from evaluation.data.datasets import load_split


@pytest.mark.slow
def test_a_short_run_writes_a_whole_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "report.json"
    settings = [f"{way}.candidates=3" for way in ("rded", "selection")] + ["rded.epochs=1", "selection.draws=1"]
    told = [part for setting in settings for part in ("--set", setting)]
    short = ["--ipc", "2", "--choices", "2", "--epochs", "1", "--held-out", "50", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", ["selection", "--dataset", "digits", *short, *told, "--out", str(file)])
    selection.main()
    report = json.loads(file.read_text())
    assert [way["way"] for way in report["ways"]] == ["real", "random crops", "rded", "selection"]
    assert all(len(way["accuracies"]) == 2 and way["ci95"] for way in report["ways"])
    assert report["held_out_images"] == 50 and report["machine"]["processor"] and report["preview"]


def test_random_crops_are_of_the_images_of_their_class() -> None:
    images = random_subset(load_split(get_challenge("digits"), "train", None), 3, 0)
    whole = selection.random_crops(images, (32,), 0)
    np.testing.assert_array_equal(whole.images, images.images)
    crops = selection.random_crops(images, (19,), 0)
    assert (crops.labels == images.labels).all() and (crops.images != images.images).any((1, 2, 3)).all()
