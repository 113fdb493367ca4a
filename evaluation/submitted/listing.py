"""List a submission's folder: images by class, shards, what is lost, and what was never a part of it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from evaluation.base.challenge import Challenge
from evaluation.base.untrusted import MAX_ENTRIES, MAX_IMAGE_BYTES, DroppedFiles, UnreadableFileError, check_regular
from evaluation.formats.class_folders import label_of_folder
from evaluation.formats.decode import SUFFIXES
from evaluation.formats.kinds import is_foreign_image, is_hidden
from evaluation.formats.tensors import tensor_name

OUTSIDE = "not in a class folder"  # the reason of an image that lies beside the class folders
_DEPTH = 3  # levels of folders in a class folder, as in `<wnid>/images/`


@dataclass
class Listing:
    """The files of a submission, with paths relative to its folder.

    Attributes:
        images: label and path of every candidate, sorted.
        image_bytes: their size on disk together.
        shards: paths of `*.npz`.
        tensor: path of the challenge's own `.pt` file; None where there is none.
        dropped: what may have been an image and is not read.
        not_images: what was never one: hidden files and folders, notes, logs, lists, databases of thumbnails.
    """

    images: list[tuple[int, str]] = field(default_factory=list)
    image_bytes: int = 0
    shards: list[str] = field(default_factory=list)
    tensor: str | None = None
    dropped: DroppedFiles = field(default_factory=DroppedFiles)
    not_images: DroppedFiles = field(default_factory=DroppedFiles)


def list_folder(root: Path, challenge: Challenge) -> Listing:
    """List class folders and shards. Links are not followed and count as left out, like everything of odd kinds.

    A class folder that cannot be listed is left out and told.

    Raises:
        ValueError: a folder with images names no class or two, there are more than MAX_ENTRIES entries, or `root`
            itself cannot be listed.
    """
    return _Lister(root, challenge).list_all()


def holds_images(folder: Path) -> bool:
    """Whether a folder that names no class holds an image or a shard at any depth; nothing hidden is looked into."""
    left = MAX_ENTRIES
    for place, folders, files in os.walk(folder):
        left -= len(folders) + len(files)
        if left < 0:
            return True  # nobody looks that long; the caller refuses it
        folders[:] = [name for name in folders if not is_hidden(name, folder=True)]
        for name in files:
            if not is_hidden(name, folder=False):
                path = Path(place, name)
                if path.suffix.lower() in SUFFIXES or path.suffix == ".npz" or is_foreign_image(path):
                    return True
    return False


class _Lister:
    """One listing in progress."""

    def __init__(self, root: Path, challenge: Challenge) -> None:
        self._root, self._challenge = root, challenge
        self._listing = Listing()
        self._entries_left = MAX_ENTRIES

    def list_all(self) -> Listing:
        try:
            top = self._entries("")
        except OSError as error:
            raise ValueError(f"{self._root} cannot be listed: {error.strerror or error}") from None
        for entry, path in top:
            if self._passed_over(entry, path):
                continue
            if not entry.is_dir(follow_symlinks=False):
                if entry.name.endswith(".npz"):
                    self._listing.shards.append(path)
                elif entry.name == tensor_name(self._challenge):
                    self._listing.tensor = path
                else:
                    self._add_other(path, OUTSIDE, is_image=_has_image_name(entry.name))
            else:
                self._list_top_folder(entry.name)
        self._listing.images.sort()
        return self._listing

    def _list_top_folder(self, name: str) -> None:
        try:
            label = label_of_folder(name, self._challenge)
        except ValueError:
            if holds_images(self._root / name):
                raise
            self._listing.not_images.add(name, "folder without images")
        else:
            self._list_class(f"{name}/", label, 1)

    def _list_class(self, folder: str, label: int, depth: int) -> None:
        try:
            found = self._entries(folder)
        except OSError:
            self._listing.dropped.add(folder.rstrip("/"), "folder that cannot be read")
            return
        for entry, path in found:
            if self._passed_over(entry, path):
                continue
            if not entry.is_dir(follow_symlinks=False):
                self._add_file(entry, path, label)
            elif depth < _DEPTH:
                self._list_class(f"{path}/", label, depth + 1)
            else:
                self._listing.dropped.add(path, "folder too deep")

    def _entries(self, folder: str) -> Iterator[tuple[os.DirEntry[str], str]]:
        """What `folder` holds, by name. Raises OSError where it cannot be listed, ValueError for too much."""
        found = []
        with os.scandir(self._root / folder) as scan:
            for entry in scan:
                self._entries_left -= 1
                if self._entries_left < 0:
                    raise ValueError(
                        f"{self._root} holds more than {MAX_ENTRIES:,} files and folders; keep fewer images"
                    )
                found.append(entry)
        return ((entry, f"{folder}{entry.name}") for entry in sorted(found, key=lambda entry: entry.name))

    def _passed_over(self, entry: os.DirEntry[str], path: str) -> bool:
        """Whether an entry is no candidate, and noted as that: hidden, unfinished, a link, or out of reach."""
        try:
            link, folder = entry.is_symlink(), entry.is_dir(follow_symlinks=False)
        except OSError:
            self._listing.dropped.add(path, "cannot be read")
            return True
        if not folder and entry.name.endswith(".part"):
            self._listing.dropped.add(path, "unfinished *.part file", half_written=True)
        elif is_hidden(entry.name, folder):
            self._listing.not_images.add(path, "hidden folder" if folder else "hidden file")
        elif link:
            self._listing.dropped.add(path, "symbolic link")
        else:
            return False
        return True

    def _add_file(self, entry: os.DirEntry[str], path: str, label: int) -> None:
        if not _has_image_name(entry.name):
            self._add_other(path, "not PNG, JPEG, WebP or BMP", is_image=False)
            return
        try:
            status = entry.stat(follow_symlinks=False)
            check_regular(status, MAX_IMAGE_BYTES)
        except UnreadableFileError as problem:
            self._listing.dropped.add(path, problem.reason, problem.half_written)
        except OSError:
            self._listing.dropped.add(path, "cannot be read")
        else:
            self._listing.images.append((label, path))
            self._listing.image_bytes += status.st_size

    def _add_other(self, path: str, reason: str, is_image: bool) -> None:
        if is_image or is_foreign_image(self._root / path):
            self._listing.dropped.add(path, reason)
        else:
            self._listing.not_images.add(path, "no image")


def _has_image_name(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122  (a hundred thousand times)
