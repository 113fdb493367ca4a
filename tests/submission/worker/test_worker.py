"""The worker in a process of its own, on quick generators."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from evaluation.base.challenge import get_challenge
from submission.contract.job import Job, read_events
from submission.contract.weights import find_weights_file, read_tensors
from tests.forked import run_forked

ROOT = Path(__file__).parents[3]
AWKWARD = ROOT / "benchmarks" / "awkward" / "generators"
SLOW_DISK = ROOT / "benchmarks" / "awkward" / "slow_disk"


def work(
    folder: Path, generator: str, seconds: float = 300.0, path: Path | None = None, **changes: Any
) -> list[dict[str, Any]]:
    """What a worker tells of a job; with `path` on its PYTHONPATH it is a new Python, which finds what lies there."""
    deadline = time.monotonic() + seconds
    job = Job("digits", generator, str(folder / "images"), str(folder / "events"), deadline, **changes)
    job.save(folder / "job.json")
    module, job_file = "submission.worker.worker", str(folder / "job.json")
    if path:
        environment = os.environ | {"PYTHONPATH": str(path)}
        subprocess.run([sys.executable, "-m", module, job_file], cwd=ROOT, env=environment, check=True, timeout=300)
    else:
        run_forked(module, [job_file], folder=ROOT, environment=os.environ, timeout=300).check_returncode()
    return read_events(folder / "events")


def phases(events: list[dict[str, Any]]) -> list[str]:
    return [event["phase"] for event in events if "phase" in event]


def written(folder: Path) -> list[int]:
    return sorted(len(list(each.glob("*.png"))) for each in (folder / "images").iterdir())


def test_trials_are_on_the_ledger_and_their_images_count(tmp_path: Path) -> None:
    events = work(tmp_path, "noise", ipc=200, trial=True)
    assert phases(events) == ["warmup", "profile", "generate", "write"]
    (trial,) = [event for event in events if "trial" in event]
    sizes = [size for size, _ in trial["trial"]]
    assert sizes[:2] == [8, 16] and all(b == 2 * a for a, b in pairwise(sizes))
    assert trial["images"] in (8 + sum(sizes), 2000)  # a fast machine tries until the cap cuts a batch short
    assert events[-1]["images"] == 2000 and events[-1]["end"] == "ipc"
    assert written(tmp_path) == [200] * 10


def test_a_batch_that_was_given_is_not_tried(tmp_path: Path) -> None:
    events = work(tmp_path, "noise", ipc=13, batch_size=50)
    assert phases(events) == ["warmup", "generate", "write"]
    assert [event["images"] for event in events if "images" in event and "end" not in event] == [8, 58, 108, 130]


def test_memory_that_runs_out_in_a_trial_ends_the_trial(tmp_path: Path) -> None:
    events = work(tmp_path, "hungry", path=AWKWARD, ipc=20, trial=True)
    (trial,) = [event for event in events if "trial" in event]
    assert [size for size, _ in trial["trial"]] == [8, 16]
    assert trial["batch_size"] == 16
    assert written(tmp_path) == [20] * 10


def test_no_first_batch_is_larger_than_the_disk_can_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLOW_DISK", "throughput:0.05")
    seconds = 12.0  # for 240 files at most, less the start
    began = time.monotonic()
    events = work(tmp_path, "noise", seconds, SLOW_DISK, batch_size=512)
    assert time.monotonic() - began < seconds
    assert events[-1]["end"] == "clock" and events[-1]["images"] == sum(written(tmp_path)) > 30
    assert max(written(tmp_path)) - min(written(tmp_path)) <= 1


def test_a_generator_is_told_which_image_of_its_class_each_one_is(tmp_path: Path) -> None:
    weights = find_weights_file("gaussian", get_challenge("digits"), None)
    work(tmp_path, "gaussian", ipc=16, batch_size=7, weights=str(weights), settings={"spread": "0"})
    bounds_CK = read_tensors(weights)["shares_CK"].cumsum(1)
    for label, folder in enumerate(sorted((tmp_path / "images").iterdir())):
        # without spread the images of a cluster are all the same, and 16 of them lie at every sixteenth of the class
        clusters = (bounds_CK[label] <= (torch.arange(16) / 16)[:, None]).sum(1).unique()
        assert len({path.read_bytes() for path in folder.glob("*.png")}) == len(clusters)
