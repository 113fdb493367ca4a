"""What travels is measured on the folder of a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.cluster.network import measure
from benchmarks.cluster.simulation import read_measured
from harness.records.run_folder import RunFolder
from tests.harness.records.samples import record


def test_images_and_the_rest_are_told_apart(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    (run.images / "000-0").mkdir(parents=True)
    for index in range(20):
        (run.images / "000-0" / f"{index:06d}.png").write_bytes(bytes(3000))
    record().save(run.record)
    run.report.write_bytes(bytes(200_000))
    found = measure(run)
    assert found["images"] == 20 and 20 * 3000 < found["bytes"]["images"] < 20 * 6000
    assert 200_000 < found["bytes"]["record, report, log"] < 260_000 and found["bytes"]["a round"] < 20_000
    (tmp_path / "found.json").write_text(json.dumps(found))
    twice, once = (read_measured(tmp_path / "found.json", images) for images in (40, 20))
    assert twice.run_bytes - once.run_bytes == found["bytes"]["images"]
    assert twice.head_s == pytest.approx(2 * once.head_s) and twice.results_bytes == once.results_bytes
