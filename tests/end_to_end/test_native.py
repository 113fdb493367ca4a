"""The shipped generator through the whole main job."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evaluation.base.challenge import get_challenge
from evaluation.submitted.folder import read_folder
from tests.end_to_end.harness_process import record_of, run_harness

DIGITS = get_challenge("digits")


def pixels(run: Path) -> np.ndarray:
    return read_folder(run / "images", DIGITS).images.images.astype(int)


def test_image_i_is_the_same_whatever_the_batch_and_in_every_run(tmp_path: Path) -> None:
    arguments = ("--dataset", "digits", "--generator", "native", "--no-judge", "--seed", "3")
    for name, ipc, batch in (("one", "1", "1"), ("many", "2", "64"), ("again", "2", "64")):
        done = run_harness(*arguments, "--ipc", ipc, "--batch-size", batch, "--out", tmp_path / name)
        assert done.returncode == 0, done.stderr
    first_of_each_class = pixels(tmp_path / "many")[::2]
    off = np.abs(pixels(tmp_path / "one") - first_of_each_class)  # levels of 255
    # to the rounding of bfloat16, which matrix units do in another order for another batch
    assert off.max() <= 16 and (off > 2).mean() < 0.02
    assert record_of(tmp_path / "many")["images_hash"] == record_of(tmp_path / "again")["images_hash"]
    (leakage,) = (audit for audit in record_of(tmp_path / "many")["audits"] if audit["name"] == "leakage")
    assert "not available" not in leakage["evidence"], "unjudged images are audited against the real ones all the same"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_default_job_is_as_good_as_promised(tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = run_harness("--dataset", "digits", "--epochs", "60", "--rounds", "1", "--out", run)
    assert done.returncode == 0, done.stderr
    record = record_of(run)
    assert record["generator"] == "native" and record["ipc"]["mean"] == 40
    assert record["accuracy"]["mean"] >= 0.85
    assert not [audit for audit in record["audits"] if audit["status"] == "fail"]
    assert record["declared"]["external_data"] == ""


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_noise_is_at_chance(tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = run_harness(
        *("--dataset", "digits", "--generator", "noise", "--epochs", "20", "--rounds", "3", "--out", run)
    )
    assert done.returncode == 0, done.stderr
    assert record_of(run)["accuracy"]["mean"] < 0.25
