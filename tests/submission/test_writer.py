from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation.challenge import get_challenge
from submission.writer import ImageWriter

DIGITS = get_challenge("digits")


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), np.uint8)


def test_images_come_back_exactly_and_nothing_unfinished_is_left(tmp_path: Path) -> None:
    images = pictures(20)
    labels, indices = [i % 10 for i in range(20)], [i // 10 for i in range(20)]
    writer = ImageWriter(tmp_path, DIGITS)
    writer.write(images, labels, indices)
    writer.close()
    assert writer.written == 20
    for image, label, index in zip(images, labels, indices, strict=True):
        path = tmp_path / f"{label:03d}-{label}" / f"{index:06d}.png"
        assert np.array_equal(np.asarray(Image.open(path)), image)
    assert not list(tmp_path.rglob("*.part"))


def test_a_full_queue_holds_the_generator_back(tmp_path: Path) -> None:
    writer = ImageWriter(tmp_path, DIGITS, threads=1, queue=4)
    writer.write(pictures(40), [0] * 40, list(range(40)))
    assert len(list(tmp_path.rglob("*.png"))) >= 36
    writer.close()


def test_a_failed_write_is_told(tmp_path: Path) -> None:
    writer = ImageWriter(tmp_path, DIGITS)
    folder = tmp_path / "003-3"
    folder.rmdir()
    folder.write_text("in the way")
    with pytest.raises(NotADirectoryError):
        writer.write(pictures(1), [3], [0])
        writer.close()
