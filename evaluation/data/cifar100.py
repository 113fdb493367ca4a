"""CIFAR-100 as its publisher ships it: the folder `cifar-100-python` with the pickles `train` and `test`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import numpy as np

from evaluation.base.images import ImageSet
from evaluation.formats.pickles import loads_plain

FOLDER = "cifar-100-python"
MD5 = {
    "train": "16019d7e3df5f24257cddd939b257f8d",
    "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    "meta": "7973b15100ade9c7d40fb424638fde48",
}
_SHAPE = {"train": (50_000, 3072), "test": (10_000, 3072)}


def find(root: Path, split: Literal["train", "test"]) -> Path | None:
    """The file of `split` under `root`, which holds the publisher's folder or is that folder."""
    return next((file for file in (root / FOLDER / split, root / split) if file.is_file()), None)


def load(file: Path, split: Literal["train", "test"]) -> ImageSet:
    """Read one official file.

    Raises:
        ValueError: its MD5 is not the official one.
    """
    data = file.read_bytes()
    found = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if found != MD5[split]:
        raise ValueError(
            f"{file} has MD5 {found}, but the official file has {MD5[split]}: it is damaged or another version;"
            " remove it and fetch the archive again"
        )
    content = loads_plain(data, str(file))
    pixels = np.asarray(content[b"data"])
    assert pixels.shape == _SHAPE[split]
    assert pixels.dtype == np.uint8
    return ImageSet(pixels.reshape(-1, 3, 32, 32), np.array(content[b"fine_labels"], np.int64))
