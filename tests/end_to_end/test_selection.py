"""The generators that start from real training images, through the whole main job."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.models.dit import write_dit, write_json
from evaluation.base.challenge import get_challenge
from evaluation.data.datasets import load_split
from evaluation.submitted.folder import read_folder
from submission.diffusion.dit import MINMAX_FILE
from tests.end_to_end.harness_process import record_of, run_harness
from tests.submission.noise_models import save_tiny_diffusion

DIGITS = get_challenge("digits")


def run(generator: str, out: Path, *more: str | Path) -> None:
    job = ("--dataset", "digits", "--generator", generator, "--ipc", "4", "--budget", "300")
    done = run_harness(*job, *more, "--out", out)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_selection_of_whole_images_is_in_the_copying_league(tmp_path: Path) -> None:
    settings = ("--set", "candidates=12", "--set", "draws=1", "--set", "patch=1")
    run("selection", tmp_path / "run", *settings, "--epochs", "2", "--rounds", "1")
    record = record_of(tmp_path / "run")
    assert record["outcome"] == "ok" and record["ipc"]["min"] == record["ipc"]["max"] == 4
    (leakage,) = [audit for audit in record["audits"] if audit["name"] == "leakage"]
    assert leakage["status"] == "warn" and leakage["numbers"]["league"] == "copying"
    made = read_folder(tmp_path / "run" / "images", DIGITS).images
    train = load_split(DIGITS, "train", None)
    for image, label in zip(made.images, made.labels, strict=True):
        assert label in train.labels[(train.images == image).all((1, 2, 3))]
    assert "Chosen patches" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("generator", ["rded", "prototypes"])
def test_the_baselines(generator: str, tmp_path: Path) -> None:
    run(generator, tmp_path / "run", "--no-judge")
    record = record_of(tmp_path / "run")
    assert record["outcome"] == "ok" and record["images"] == 40
    assert len(np.unique(read_folder(tmp_path / "run" / "images", DIGITS).images.images, axis=0)) == 40


@pytest.mark.slow
@pytest.mark.parametrize("generator", ["selection", "prototypes"])
def test_a_text_conditional_model(generator: str, tmp_path: Path) -> None:
    model = save_tiny_diffusion(tmp_path / "model")
    run(generator, tmp_path / "run", "--weights", model, "--set", "candidates=5", "--no-judge")
    assert record_of(tmp_path / "run")["images"] == 40


@pytest.mark.slow
@pytest.mark.parametrize("generator", ["selection", "prototypes"])
def test_a_class_conditional_dit(generator: str, tmp_path: Path) -> None:
    model = write_dit(tmp_path / "model", DIGITS.classes, DIGITS.class_names)
    write_json(model / MINMAX_FILE, {"format": 1})
    run(generator, tmp_path / "run", "--weights", model, "--set", "candidates=5", "--no-judge")
    assert record_of(tmp_path / "run")["images"] == 40


@pytest.mark.slow
def test_bad_weights_are_told_before_the_clock(tmp_path: Path) -> None:
    (tmp_path / "model" / "unet").mkdir(parents=True)
    done = run_harness("--dataset", "digits", "--generator", "selection", "--weights", tmp_path / "model")
    assert done.returncode == 2
    assert "holds no scheduler/scheduler_config.json" in done.stderr and "Traceback" not in done.stderr
