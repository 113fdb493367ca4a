"""Tiny-ImageNet as its publisher ships it: `tiny-imagenet-200/train/<wnid>/images/*.JPEG`, `val/` with its annotations.

The test split is the 10,000 labelled validation images; labels count through the sorted WordNet ids.
"""

import hashlib
from pathlib import Path
from typing import Literal

import numpy as np

from evaluation.base.challenge import Challenge
from evaluation.base.files import read_lines
from evaluation.base.images import ImageSet
from evaluation.base.progress_bar import progress_bar
from evaluation.formats.decode import decode_files
from evaluation.formats.kinds import is_hidden

FOLDER = "tiny-imagenet-200"
VALIDATION_IMAGES = 10_000


def find(root: Path, split: Literal["train", "test"]) -> Path | None:
    """The publisher's folder under `root`, or `root` itself, where it holds `split`."""
    needed = "train" if split == "train" else "val/val_annotations.txt"
    return next((folder for folder in (root / FOLDER, root) if _holds(folder, needed)), None)


def _holds(folder: Path, needed: str) -> bool:
    return (folder / needed).exists() and ((folder / "wnids.txt").exists() or folder.name == FOLDER)


def list_files(folder: Path, split: Literal["train", "test"], challenge: Challenge) -> list[tuple[Path, int]]:
    """Every image of `split` with its label, class by class for training, in the annotations' order for test.

    Raises ValueError, with its name, where a class, the annotations or an image is missing.
    """
    return _training_files(folder, challenge) if split == "train" else _validation_files(folder, challenge)


def _training_files(folder: Path, challenge: Challenge) -> list[tuple[Path, int]]:
    files = []
    for label, wnid in enumerate(challenge.wnids):
        images = folder / "train" / wnid / "images"
        found = sorted(path for path in images.glob("*.JPEG") if not is_hidden(path.name, folder=False))
        if not found:
            raise ValueError(f"{images} holds no training images (*.JPEG); unpack the archive {FOLDER}.zip again")
        files += [(path, label) for path in found]
    return files


def _validation_files(folder: Path, challenge: Challenge) -> list[tuple[Path, int]]:
    annotations = folder / "val" / "val_annotations.txt"
    label_of = {wnid: label for label, wnid in enumerate(challenge.wnids)}
    files = []
    for line in read_lines(annotations):
        name, _, rest = line.partition("\t")
        wnid = rest.partition("\t")[0]
        if wnid not in label_of or Path(name).name != name:
            raise ValueError(f"{annotations} has a line that is not one of {challenge.title}: {line[:80]!r}")
        files.append((folder / "val" / "images" / name, label_of[wnid]))
    if len(files) != VALIDATION_IMAGES:
        raise ValueError(f"{annotations} lists {len(files):,} images instead of {VALIDATION_IMAGES:,}; unpack it again")
    return files


def fingerprint(files: list[tuple[Path, int]]) -> str:
    """A short key that changes with any file's place, size or time of change. Raises ValueError if one is missing."""
    digest = hashlib.blake2b(digest_size=8)
    for path, _ in files:
        try:
            status = path.stat()
        except OSError:
            raise ValueError(f"{path} is missing; unpack the archive {FOLDER}.zip again") from None
        digest.update(f"{path.absolute()}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def load(files: list[tuple[Path, int]], challenge: Challenge) -> ImageSet:
    """Decode `files`, as `list_files` gives them. Raises ValueError where one cannot be decoded."""
    with progress_bar(f"Reading {challenge.title}") as update:
        decoded = decode_files(
            [path for path, _ in files],
            challenge.size,
            on_read=lambda done, count: update(done / count, f"{done:,} of {count:,} images"),
        )
    if decoded.problems:
        position, problem = min(decoded.problems.items())
        raise ValueError(f"{files[position][0]}: {problem.reason}; unpack the archive {FOLDER}.zip again")
    return ImageSet(decoded.images, np.array([label for _, label in files], np.int64))
