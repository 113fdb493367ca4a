"""What a submission's folder holds, before any of it is opened: candidates with their labels, shards, the rest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from evaluation.base.challenge import Challenge
from evaluation.base.untrusted import MAX_ENTRIES, MAX_IMAGE_BYTES, DroppedFiles, UnreadableFileError, check_regular
from evaluation.formats.class_folders import label_of_folder
from evaluation.formats.decode import SUFFIXES

_DEPTH = 3  # levels of folders in a class folder, as in `<wnid>/images/`


@dataclass
class Listing:
    """The files of a submission.

    Attributes:
        root: the folder.
        images: label and path relative to the root of every candidate, sorted: by label, then by path.
        image_bytes: their size on disk together.
        shards: paths of `*.npz` relative to the root.
        dropped: what was left out.
    """

    root: Path
    images: list[tuple[int, str]] = field(default_factory=list)
    image_bytes: int = 0
    shards: list[str] = field(default_factory=list)
    dropped: DroppedFiles = field(default_factory=DroppedFiles)


def list_folder(root: Path, challenge: Challenge) -> Listing:
    """List class folders and shards. Links are not followed and count as left out, like everything of odd kinds.

    Raises:
        ValueError: a class folder names no class or two of them, or there are more than MAX_ENTRIES entries.
    """
    listing = Listing(root)
    entries_left = MAX_ENTRIES

    def entries(folder: str) -> Iterator[tuple[os.DirEntry[str], str]]:
        nonlocal entries_left
        found = []
        with os.scandir(root / folder) as scan:
            for entry in scan:
                entries_left -= 1
                if entries_left < 0:
                    raise ValueError(f"{root} holds more than {MAX_ENTRIES:,} files and folders; keep fewer images")
                found.append(entry)
        return ((entry, f"{folder}{entry.name}") for entry in sorted(found, key=lambda entry: entry.name))

    def list_class(folder: str, label: int, depth: int) -> None:
        for entry, path in entries(folder):
            if not entry.is_dir(follow_symlinks=False):
                _add_image(listing, entry, path, label)
            elif depth < _DEPTH:
                list_class(f"{path}/", label, depth + 1)
            else:
                listing.dropped.add(path, "folder too deep")

    for entry, path in entries(""):
        if entry.is_symlink():
            listing.dropped.add(path, "symbolic link")
        elif not entry.is_dir(follow_symlinks=False):
            if entry.name.endswith(".npz"):
                listing.shards.append(path)
            else:
                _drop_other(listing, path, "not in a class folder")
        elif entry.name.startswith((".", "__")):
            listing.dropped.add(path, "hidden folder")
        else:
            list_class(f"{path}/", label_of_folder(entry.name, challenge), 1)
    listing.images.sort()
    return listing


def _add_image(listing: Listing, entry: os.DirEntry[str], path: str, label: int) -> None:
    if os.path.splitext(entry.name)[1].lower() not in SUFFIXES:  # noqa: PTH122  (a hundred thousand times)
        _drop_other(listing, path, "no PNG, JPEG, WebP or BMP")
        return
    try:
        status = entry.stat(follow_symlinks=False)
        check_regular(status, MAX_IMAGE_BYTES)
    except UnreadableFileError as problem:
        listing.dropped.add(path, problem.reason, problem.half_written)
    else:
        listing.images.append((label, path))
        listing.image_bytes += status.st_size


def _drop_other(listing: Listing, path: str, reason: str) -> None:
    half_written = path.endswith(".part")
    listing.dropped.add(path, "unfinished *.part file" if half_written else reason, half_written)
