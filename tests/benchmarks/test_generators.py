"""The benchmark of the generators, rehearsed with tiny models: every row, and the papers' pipelines next to ours."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from benchmarks import generators
from benchmarks.generators import Row, by_batch, doubled, networks, ratios


def run(monkeypatch: pytest.MonkeyPatch, out: Path, *options: str) -> dict[str, Any]:
    command = ["generators", "--tiny", "--seconds", "0.01", "--precision", "fp32", "--out", str(out), *options]
    monkeypatch.setattr(sys, "argv", command)
    monkeypatch.setattr(generators, "MOST_IMAGES", {True: 2})
    generators.main()
    told: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return told


def test_a_row_for_each_step_count(one_try: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = run(monkeypatch, tmp_path / "report.json", "--only", "edm")
    assert [(row["generator"], row["steps"]) for row in told["rows"]] == [("edm", 8), ("edm", 10), ("edm", 18)]
    for row in told["rows"]:
        assert row["images_per_s"] == max(row["by_batch"].values()) > 0
        assert 0 < row["fraction_of_peak"] < 1
        assert row["predicted_ipc"] == pytest.approx((600 - row["start_s"]) * row["images_per_s"] / 100)
    assert told["tiny"] is True and told["speedup_over_papers"] == []


@pytest.mark.slow
def test_every_paper_has_a_row_and_a_ratio(one_try: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = run(monkeypatch, tmp_path / "report.json")
    assert {row["generator"] for row in told["rows"]} == {"sdxl-turbo", "dit", "consistency", "edm"}
    theirs = [(row["generator"], row["pipeline"], row["steps"]) for row in told["rows"] if row["pipeline"] != "ours"]
    assert ("sdxl-turbo", "third place", 1) in theirs and ("dit", "second place, batch 32", 10) in theirs
    assert [(each["generator"], each["pipeline"], each["steps"]) for each in told["speedup_over_papers"]] == theirs


def row(pipeline: str, speed: float, steps: int = 10) -> Row:
    return Row("dit", pipeline, steps, "bf16", {}, False, 8, speed, {8: speed}, None, 1.0, None, 1.0)


def test_a_ratio_is_that_of_our_fastest_with_as_many_steps() -> None:
    (found,) = ratios([row("ours", 3.0), row("ours", 6.0), row("ours", 60.0, steps=5), row("second place", 2.0)])
    assert found["times"] == pytest.approx(3.0) and found["steps"] == 10


def test_batches_are_doubled_until_memory_runs_out() -> None:
    def make(images: int) -> None:
        if images > 4:
            raise MemoryError

    assert list(by_batch(make, "cpu", 0.001, doubled(64))) in ([1, 2, 4], [1, 2])


def test_the_networks_of_a_generator_are_found_within_its_own_objects() -> None:
    from submission.generators.sdxl_turbo import Decoder

    class Holder:
        def __init__(self) -> None:
            self.unet, self.decoder, self.other = nn.Linear(1, 1), Decoder(nn.Linear(2, 2)), "text"

    holder = Holder()
    assert networks(holder) == [holder.unet, holder.decoder.autoencoder]
