"""What is taken for the output of a run."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch
from PIL import Image

from evaluation.base.challenge import get_challenge
from harness.run import collect as collecting
from harness.run.collect import collect, count_by_name, recollect

DIGITS = get_challenge("digits")


def test_an_output_folder_that_became_a_link_is_not_read(tmp_path: Path) -> None:
    for label in range(10):
        (tmp_path / "elsewhere" / str(label)).mkdir(parents=True)
        Image.new("RGB", (32, 32)).save(tmp_path / "elsewhere" / str(label) / "0.png")
    (tmp_path / "images").symlink_to(tmp_path / "elsewhere")
    found = collect(tmp_path / "images", DIGITS)
    assert found.count == 0 and found.contents is None
    assert found.invalid is not None and "was replaced by a symbolic link" in found.invalid
    assert collect(tmp_path / "elsewhere", DIGITS).count == 10


def test_images_over_time_are_counted_by_the_last_write_of_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is older than the run counts from its start."""
    started_at = datetime(2026, 1, 1, tzinfo=UTC)
    for label in range(10):
        (tmp_path / str(label)).mkdir()
        Image.new("RGB", (32, 32)).save(tmp_path / str(label) / "0.png")
        written = started_at.timestamp() + 14.0 - 2.0 * label
        os.utime(tmp_path / str(label) / "0.png", (written, written))
    seconds = (0.0, 0.0, 0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0)
    assert collect(tmp_path, DIGITS, started_at).over_time == tuple(zip(seconds, range(1, 11), strict=True))
    monkeypatch.setattr(collecting, "POINTS", 3)
    assert collect(tmp_path, DIGITS, started_at).over_time == ((0.0, 1), (4.0, 5), (14.0, 10))


def test_what_is_counted_by_name_is_not_opened(tmp_path: Path) -> None:
    for label in range(10):
        (tmp_path / str(label)).mkdir()
        (tmp_path / str(label) / "0.png").write_bytes(b"no image at all")
    (tmp_path / "0" / "1.png.part").write_bytes(b"half")
    (tmp_path / "0" / "notes.txt").write_bytes(b"")
    found = count_by_name(tmp_path, DIGITS)
    assert found.per_class == (1,) * 10 and found.images_hash is None and found.contents is None
    assert (found.half_written, found.dropped, found.not_images) == (1, 1, 1)
    assert collect(tmp_path, DIGITS).count == 0
    (tmp_path / "no class").mkdir()
    (tmp_path / "0" / "0.png").rename(tmp_path / "no class" / "0.png")
    assert count_by_name(tmp_path, DIGITS).invalid is not None


def test_an_output_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    for made, told in ((None, "is gone"), ("file", "replaced by a file"), ("pipe", "replaced by a file")):
        output = tmp_path / str(made) / "images"
        if made:
            output.parent.mkdir()
            output.touch() if made == "file" else os.mkfifo(output)
        found = collect(output, DIGITS)
        assert found.count == 0 and found.invalid is not None and told in found.invalid


def test_whatever_the_disk_says_while_reading_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(collecting, "read_folder", broken)
    found = collect(tmp_path, DIGITS)
    assert found.invalid is not None and "cannot be read" in found.invalid and "Input/output error" in found.invalid


def test_images_outside_class_folders_are_counted_and_told(tmp_path: Path) -> None:
    for index in range(3):
        Image.new("RGB", (32, 32)).save(tmp_path / f"{index}.png")
    found = collect(tmp_path, DIGITS)
    assert (found.count, found.outside, found.dropped) == (0, 3, 3)
    (tmp_path / "7").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "7" / "0.png")
    found = collect(tmp_path, DIGITS)
    assert (found.count, found.outside) == (1, 3)
    assert "3 images lie outside class folders" in found.warnings


@pytest.mark.parametrize("labelled", [False, True], ids=["tensor", "dict"])
def test_the_challenges_own_file_in_the_output_folder_is_read(tmp_path: Path, labelled: bool) -> None:
    images, labels = torch.randn(20, 3, 32, 32), torch.arange(20) % 10
    torch.save({"images": images, "labels": labels} if labelled else images, tmp_path / "digits.pt")
    (tmp_path / "log.txt").write_text("made 20 images")
    found = collect(tmp_path, DIGITS, datetime.now(UTC))
    assert found.count == 20 and found.per_class == (2,) * 10 and found.not_images == 1
    assert found.contents is not None and found.contents.images.labels[1] == (1 if labelled else 0)
    assert found.over_time[-1][1] == 20
    assert recollect(tmp_path, DIGITS, found.images_hash).count == 20


def test_a_half_written_file_is_dropped_and_one_of_something_else_is_told(tmp_path: Path) -> None:
    torch.save(torch.randn(20, 3, 32, 32), tmp_path / "digits.pt")
    whole = (tmp_path / "digits.pt").read_bytes()
    (tmp_path / "digits.pt").write_bytes(whole[: len(whole) // 2])
    found = collect(tmp_path, DIGITS)
    assert (found.count, found.dropped, found.half_written, found.invalid) == (0, 1, 1, None)
    torch.save(torch.randn(20, 3, 64, 64), tmp_path / "digits.pt")
    found = collect(tmp_path, DIGITS)
    assert found.invalid is not None and "images of shape (3, 64, 64)" in found.invalid


def test_class_folders_come_before_the_challenges_own_file(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "7" / "0.png")
    torch.save(torch.randn(20, 3, 32, 32), tmp_path / "digits.pt")
    found = collect(tmp_path, DIGITS)
    assert (found.count, found.dropped) == (1, 1) and "digits.pt: tensor file beside other images" in found.examples
