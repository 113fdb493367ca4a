"""A run's folder as bytes that travel: its regular files, and of a folder that was worked on only what changed."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from evaluation.base.untrusted import MAX_IMAGE_BYTES

# path in the folder -> what changes when the file does
Listing = Mapping[str, tuple[int, int]]


def listing(folder: Path) -> Listing:
    """The regular files below `folder`, without links and files larger than an image may be, which nobody reads."""
    found = {}
    for root, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = Path(root, name)
            if path.is_symlink() or not path.is_file():
                continue
            status = path.stat()
            if status.st_size <= MAX_IMAGE_BYTES:
                found[str(path.relative_to(folder))] = (status.st_size, status.st_mtime_ns)
    return found


def pack(folder: Path, names: Iterable[str]) -> bytes:
    """These files of `folder`, with their times, as a tar archive."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in names:
            archive.add(folder / name, name, recursive=False)
    return packed.getvalue()


def unpack(packed: bytes, folder: Path) -> None:
    """Write the files of `pack` into `folder`, over what is there."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")


def changed(before: Listing, after: Listing) -> tuple[list[str], list[str]]:
    """Files that are new or other than before, and files that are gone."""
    return [name for name in after if before.get(name) != after[name]], [name for name in before if name not in after]
