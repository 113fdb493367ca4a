"""What was changed, mixed up or left out does not count, and the sentence says what it was."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.leaderboard.find import FoundRun
from harness.leaderboard.verify import Verified, check_record, verify
from harness.records.record import IpcPart, Outcome
from tests.harness.leaderboard.samples import judged, keep_run


def check(folder: Path) -> Verified:
    return verify(FoundRun(folder, folder.name))


def test_a_run_as_it_was_made_counts(tmp_path: Path) -> None:
    found = check(keep_run(tmp_path / "run"))
    assert found.images is not None and len(found.images) == 10


def test_a_single_changed_pixel_is_found(tmp_path: Path) -> None:
    folder = keep_run(tmp_path / "run")
    file = folder / "images" / "003-3" / "000000.png"
    pixels = np.array(Image.open(file))
    pixels[0, 0, 0] ^= 1
    Image.fromarray(pixels).save(file)
    with pytest.raises(ValueError, match="images are not those that its record is of"):
        check(folder)


def test_swapped_classes_and_an_image_less_are_found(tmp_path: Path) -> None:
    folder = keep_run(tmp_path / "run")
    images = folder / "images"
    one, other = images / "001-1" / "000000.png", images / "002-2" / "000000.png"
    first = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(first)
    with pytest.raises(ValueError, match="not those"):
        check(folder)
    one.unlink()
    with pytest.raises(ValueError, match="9 images with the hash"):
        check(folder)


def test_images_that_are_gone_leave_a_run_unverified(tmp_path: Path) -> None:
    folder = keep_run(tmp_path / "run")
    shutil.rmtree(folder / "images")
    assert check(folder).images is None
    (folder / "images").mkdir()
    assert check(folder).images is None
    (folder / "images" / "notes.txt").write_text("no images")
    with pytest.raises(ValueError, match="nothing in its images/ can be read"):
        check(folder)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"accuracy": {"mean": 0.99, "ci95": None}}, "accuracy 0.9900 is not the mean of its rounds, 0.9000"),
        ({"accuracy": {"rounds": [1.2, 0.6, 0.9]}}, "accuracies are not from 0 to 1"),
        ({"accuracy": {"passes": 1000}}, "another protocol: 1,000 passes are not those of 1,000 epochs"),
        ({"accuracy": {"per_class": [0.9]}}, "accuracies of 1 classes, not of the 10"),
        ({"images": 20}, "20 images are not 1 per class"),
        ({"ipc": {"distinct": 1.5}}, "more distinct images than images"),
        ({"throughput": {"images_per_s": float("nan")}}, "throughput.images_per_s"),
        ({"accuracy": {"rounds": [float("nan")] * 3}}, "accuracy.rounds.0"),
        ({"budget_s": 30.0}, "the deadline came after 60.0 s, the budget was 30 s"),
        ({"clock": {"ended": 150.0}}, "the ledger adds up to 40.0 s of 50.0 s"),
        ({"schema": 2}, "of schema 2, not of 1"),
        ({"dataset": "mnist"}, "there is no data set 'mnist'"),
        ({"generator": "<script>"}, "its generator's name is none"),
        ({"images_hash": None}, "no hash of its images"),
        ({"seed": "first"}, "no record of schema 1: seed"),
        ({"accuracy": None}, "it was not judged$"),
    ],
)
def test_what_contradicts_itself_is_told(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    folder = keep_run(tmp_path / "run")
    told = json.loads((folder / "record.json").read_text())
    for name, value in changes.items():
        told[name] = {**told[name], **value} if isinstance(value, dict) else value
    (folder / "record.json").write_text(json.dumps(told))
    with pytest.raises(ValueError, match=sentence) as error:
        check(folder)
    assert str(tmp_path) not in str(error.value), "where the run lies is nobody's business"


def test_a_failed_run_says_how_it_failed() -> None:
    failed = judged(outcome=Outcome.CRASHED, accuracy=None, ipc=None, images=0, detail="It ended with exit code 1")
    with pytest.raises(ValueError, match="ended as crashed: It ended with exit code 1"):
        check_record(failed)
    check_record(judged(ipc=IpcPart(mean=1.0, min=0, max=2)))


def test_hostile_records_are_not_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    os.mkfifo(folder / "record.json")
    with pytest.raises(ValueError, match="its record cannot be read"):
        check(folder)
    (folder / "record.json").unlink()
    (folder / "record.json").symlink_to("/etc/passwd")
    with pytest.raises(ValueError, match="symbolic link"):
        check(folder)
    (folder / "record.json").unlink()
    (folder / "record.json").mkdir()
    with pytest.raises(ValueError, match="its record cannot be read: not a regular file"):
        check(folder)
