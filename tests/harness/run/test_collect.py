"""What is taken for the output of a run."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from evaluation.base.challenge import get_challenge
from harness.run.collect import collect

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
