"""What lies beside images in other people's folders, and folders that cannot be read."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation.audits.completeness import audit_files
from evaluation.base.challenge import get_challenge
from evaluation.formats.shards import write_shard
from evaluation.submitted.folder import FolderContents
from evaluation.submitted.reading import read_images

DIGITS = get_challenge("digits")
NOBODY = 65_534


def _picture(seed: int, size: int = 32) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images of each class."""
    for label in range(10):
        (tmp_path / "set" / str(label)).mkdir(parents=True)
        for index in range(2):
            _picture(10 * label + index).save(tmp_path / "set" / str(label) / f"{index:04d}.png")
    return tmp_path / "set"


@contextmanager
def readable_by_owner_only() -> Iterator[Path]:
    """A folder as another user than root, whom permissions do not bind, sees it."""
    outer = Path(tempfile.mkdtemp())
    outer.chmod(0o777)
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        (outer / "set").mkdir()
        yield outer / "set"
    finally:
        if root:
            os.seteuid(0)
        for path in (outer / "set", *(outer / "set").iterdir()):
            path.chmod(0o700)
        shutil.rmtree(outer)


def _whole(folder: Path) -> FolderContents:
    """The folder's contents, all twenty images and nothing lost."""
    contents = read_images(folder, DIGITS)
    assert len(contents.images) == 20 and not contents.dropped_reasons and not contents.warnings
    assert audit_files(contents).status == "pass"
    return contents


@pytest.mark.parametrize(
    "hidden",
    [
        ".git/objects/0.png",
        "3/.ipynb_checkpoints/0000-checkpoint.png",
        "3/._0000.png",
        "3/@eaDir/0000.png/SYNOPHOTO_THUMB_XL.jpg",
        "3/#recycle/old.png",
        "3/deeper/__MACOSX/._a.png",
        "$RECYCLE.BIN/S-1-5/0.png",
        "System Volume Information/x.png",
        "lost+found/#123.png",
        "__pycache__/make.cpython-311.pyc",
        "3/.nfs0000001.png",
        "._weights.npz",
    ],
)
def test_hidden_things_are_no_part_of_a_submission_at_any_depth(folder: Path, hidden: str) -> None:
    (folder / hidden).parent.mkdir(parents=True, exist_ok=True)
    _picture(999).save(folder / hidden, "PNG")
    assert _whole(folder).not_images_count == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("README.md", b"# made with love"),
        ("3/n01443537_boxes.txt", b"n01443537_0.JPEG\t0\t10\t63\t58\n"),
        ("train.log", b"step 1\n"),
        ("3/Thumbs.db", b"\xd0\xcf\x11\xe0" + bytes(100)),
        ("3/desktop.ini", b"[.ShellClassInfo]\r\n"),
        ("3/stats.json", b"{}"),
        ("3/features.npy", b"\x93NUMPY\x01\x00"),
        ("BMW.txt", b"BM is how this note begins"),
        ("checkpoints/model.pt", b"PK\x03\x04"),
        ("tensorboard/events.out.tfevents.1", b"\x18\0\0\0"),
    ],
)
def test_what_was_never_an_image_is_told_and_counts_for_nothing(folder: Path, name: str, content: bytes) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    contents = _whole(folder)
    assert contents.not_images_count == 1
    shown = name.split("/")[0] if name.startswith(("checkpoints", "tensorboard")) else Path(name).name
    assert audit_files(contents).evidence == (
        f"all 20 files were complete and readable; 1 beside them are not images ({shown})"
    )


def test_an_empty_folder_that_names_no_class_is_passed_over(folder: Path) -> None:
    (folder / "grids" / "deeper").mkdir(parents=True)
    assert _whole(folder).not_images[0].path == "grids"
    _picture(5).save(folder / "grids" / "deeper" / "grid.png")
    with pytest.raises(ValueError, match="folder 'grids' names no class"):
        read_images(folder, DIGITS)


@pytest.mark.parametrize("name", ["3/a.gif", "3/b.tiff", "3/0002", "3/0002.png.tmp", "3/0002.png~", "3/c.heic"])
def test_images_that_are_not_read_count_as_lost(folder: Path, name: str) -> None:
    if name.endswith(("gif", "tiff")):
        _picture(999).save(folder / name)
    elif name.endswith("heic"):
        (folder / name).write_bytes(b"\0\0\0\x18ftypheic")
    else:
        _picture(999).save(folder / name, "PNG")
    contents = read_images(folder, DIGITS)
    assert dict(contents.dropped_reasons) == {"not PNG, JPEG, WebP or BMP": 1}
    assert audit_files(contents).status == "warn"


def test_a_shard_of_statistics_is_no_part_of_a_submission(folder: Path) -> None:
    np.savez(folder / "fid_stats.npz", mu=np.zeros(8), sigma=np.eye(8))
    np.savez(folder / "features.npz", features=np.zeros((20, 64), np.float32), names=np.array(["a", "b"]))
    assert _whole(folder).not_images_count == 2
    np.savez(folder / "samples.npz", arr_0=np.zeros((20, 32, 32, 3), np.uint8))
    with pytest.raises(ValueError, match=r"samples\.npz has no array 'images'"):
        read_images(folder, DIGITS)


def test_a_set_of_images_is_never_counted_twice(folder: Path) -> None:
    images = read_images(folder, DIGITS).images
    write_shard(folder / "all.npz", images)
    write_shard(folder / "half.npz", images.take(slice(0, 10)))
    assert [entry.path for entry in _whole(folder).not_images] == ["all.npz", "half.npz"]
    others = images.take(slice(0, 10))
    write_shard(folder / "others.npz", type(others)(255 - others.images, others.labels))
    assert len(read_images(folder, DIGITS).images) == 30


def test_nothing_but_notes_is_nothing_to_judge(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("soon")
    with pytest.raises(ValueError, match=r"holds no readable image \(1 files or folders are not images\)"):
        read_images(tmp_path, DIGITS)


@pytest.mark.parametrize("mode", [0o000, 0o300, 0o600])
def test_a_class_folder_that_cannot_be_read_is_told_and_the_others_are_read(mode: int) -> None:
    with readable_by_owner_only() as place:
        for label in range(10):
            (place / str(label)).mkdir()
            _picture(label).save(place / str(label) / "0.png")
        (place / "3").chmod(mode)
        contents = read_images(place, DIGITS)
        assert sorted(set(contents.images.labels.tolist())) == [0, 1, 2, 4, 5, 6, 7, 8, 9]
        assert sum(contents.dropped_reasons.values()) == 1 and contents.dropped[0].path.startswith("3")
        place.chmod(0o300)
        with pytest.raises(ValueError, match="cannot be listed: Permission denied"):
            read_images(place, DIGITS)
