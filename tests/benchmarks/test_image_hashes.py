"""What is said of hashes that are not found again, and what changes a hash."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.image_hashes import differences, hash_of


def row(settings: str, sha256: str) -> dict[str, Any]:
    told = {"generator": "native", "dataset": "digits", "settings": settings, "ipc": 2}
    return {**told, "steps": 8, "images": 20, "sha256": sha256}


BEFORE = [row("", "a"), row("--set solver=heun", "b")]


def test_the_same_rows_in_any_order_and_more_of_them_are_no_difference() -> None:
    assert differences(BEFORE, [*reversed(BEFORE), row("--pda 5", "c")]) == []


def test_a_changed_hash_is_found() -> None:
    after = [BEFORE[0], row("--set solver=heun", "c")]
    assert differences(BEFORE, after) == ["native on digits, IPC 2 --set solver=heun differs in sha256"]


def test_other_default_steps_are_found() -> None:
    assert differences(BEFORE, [{**BEFORE[0], "steps": 9}, BEFORE[1]]) == ["native on digits, IPC 2 differs in steps"]


def test_a_missing_row_is_found() -> None:
    assert differences(BEFORE, BEFORE[1:]) == ["native on digits, IPC 2 is missing"]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two images, of two classes."""
    made = []
    for label in range(2):
        made.append(tmp_path / f"{label:03d}-name" / "000000.png")
        save(made[-1], np.full((4, 4, 3), label, np.uint8))
    return made


def save(path: Path, pixels_HWC: np.ndarray, **how: int) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels_HWC).save(path, **how)


def test_one_level_of_one_pixel_changes_the_hash(files: list[Path]) -> None:
    before = hash_of(files)
    pixels_HWC = np.zeros((4, 4, 3), np.uint8)
    pixels_HWC[3, 3, 2] += 1
    save(files[0], pixels_HWC)
    assert hash_of(files) != before


def test_images_that_change_their_labels_change_the_hash(files: list[Path]) -> None:
    before = hash_of(files)
    save(files[0], np.full((4, 4, 3), 1, np.uint8))
    save(files[1], np.full((4, 4, 3), 0, np.uint8))
    assert hash_of(files) != before


def test_how_a_file_is_compressed_does_not_change_the_hash(files: list[Path]) -> None:
    before, bytes_before = hash_of(files), files[0].read_bytes()
    save(files[0], np.zeros((4, 4, 3), np.uint8), compress_level=0)
    assert files[0].read_bytes() != bytes_before
    assert hash_of(files) == before
