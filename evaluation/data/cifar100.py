"""CIFAR-100 as its publisher ships it: the folder `cifar-100-python` with the pickles `train` and `test`."""

import hashlib
import pickle
from pathlib import Path
from typing import Any, Literal

import numpy as np

from evaluation.base.images import ImageSet

FOLDER = "cifar-100-python"
SHA256 = {
    "train": "735e79b04f092ca3d2e6d07f368c0a7d70d48c48d28865950cc24454cf45129b",
    "test": "4b67687d9933c4db8f0831104447f15b93774f4f464bd0516f0f0f2ac83b7864",
}


def find(root: Path, split: Literal["train", "test"]) -> Path | None:
    """The file of `split` under `root`, which holds the publisher's folder or is that folder."""
    return next((file for file in (root / FOLDER / split, root / split) if file.is_file()), None)


def load(file: Path, split: Literal["train", "test"]) -> ImageSet:
    """Read one official file. Raises ValueError where its SHA-256 is not the official one."""
    content = unpickle(file, split)
    return ImageSet(content[b"data"].reshape(-1, 3, 32, 32), np.array(content[b"fine_labels"], np.int64))


def unpickle(file: Path, split: Literal["train", "test"]) -> dict[bytes, Any]:
    """What an official file holds: `data` uint8 (N, 3072), `fine_labels`, `coarse_labels` and `filenames`.

    A pickle can run code, so ValueError is raised for all but the publisher's very bytes.
    """
    data = file.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256[split]:
        raise ValueError(
            f"{file} has SHA-256 {found}, but the official file has {SHA256[split]}: it is damaged or another version;"
            " delete it and download the archive again"
        )
    return pickle.loads(data, encoding="bytes")
