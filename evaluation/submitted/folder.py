"""Read a folder of class folders and shards that anyone wrote, in bounded memory and time."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet, NormalisedSet
from evaluation.base.untrusted import (
    MAX_ENTRIES,
    MAX_IMAGE_BYTES,
    Dropped,
    DroppedFiles,
    NothingToJudgeError,
    UnreadableFileError,
    check_regular,
    most_images,
    printable,
)
from evaluation.formats.class_folders import accepted, label_of_folder
from evaluation.formats.decode import SUFFIXES, decode_files, fit_pixels
from evaluation.formats.shards import read_shard

_DEPTH = 3  # levels of folders in a class folder, as in `<wnid>/images/`
_Part = tuple[ImageSet, list[str]]  # images and where each came from


@dataclass(frozen=True)
class FolderContents:
    """What was read from a folder, a shard or a `.pt` file.

    Attributes:
        images: the whole readable images at the challenge's size, class by class, each class in the order of its paths.
        paths: where each image came from, relative to the folder; `shard.npz[12]` for the image at 12 of a shard.
        dropped: the first files that were left out, one by one.
        dropped_reasons: reason -> how many, over all files that were left out.
        half_written: how many of these were being written when their writer ended.
        resized: (width, height) -> how many images had that size and were brought to the challenge's.
        warnings: sentences for people.
    """

    images: ImageSet | NormalisedSet
    paths: tuple[str, ...]
    dropped: tuple[Dropped, ...] = ()
    dropped_reasons: Mapping[str, int] = field(default_factory=dict)
    half_written: int = 0
    resized: Mapping[tuple[int, int], int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class NoImagesError(NothingToJudgeError):
    """A folder without one whole image; `dropped` is what was in it instead."""

    def __init__(self, folder: Path, dropped: DroppedFiles, challenge: Challenge) -> None:
        left_out = f" ({dropped.total:,} files were left out)" if dropped.total else ""
        super().__init__(f"{folder} holds no readable image{left_out}; {accepted(challenge)}")
        self.dropped = dropped


def read_folder(folder: Path, challenge: Challenge) -> FolderContents:
    """Read every whole image of a submission's folder.

    Class folders are named by label index, class name, WordNet id or `007-name` and hold PNG, JPEG, WebP or BMP of any
    size; shards `*.npz` beside them hold `images` and `labels`. Links are not followed, no code in a file runs, and
    what cannot be read is left out and told.

    Raises:
        NoImagesError: there is no whole image.
        ValueError: a class folder names no class or two, or there are more images than fit.
    """
    listing = list_folder(folder, challenge)
    count = len(listing.images)
    _check_count(count, folder, challenge)
    paths = [folder / path for _, path in listing.images]
    decoded = decode_files(paths, challenge.size, listing.image_bytes / max(1, len(paths)))
    for position, problem in sorted(decoded.problems.items()):
        listing.dropped.add(listing.images[position][1], problem.reason, problem.half_written)
    kept = [listing.images[position] for position in decoded.kept]
    labels = np.array([label for label, _ in kept], np.int64)
    parts: list[_Part] = [(ImageSet(decoded.images, labels), [path for _, path in kept])]
    sizes = decoded.sizes
    for name in listing.shards:
        try:
            shard = read_shard(folder / name, challenge)
        except UnreadableFileError as problem:
            listing.dropped.add(name, problem.reason, problem.half_written)
            continue
        count += len(shard)
        _check_count(count, folder, challenge)
        parts.append(_shard_part(shard, name, challenge))
        sizes[shard.images.shape[3], shard.images.shape[2]] += len(shard)
    images, names = _by_label(parts)
    if not len(images):
        raise NoImagesError(folder, listing.dropped, challenge)
    return _contents(images, names, listing.dropped, sizes, challenge)


def read_shard_file(path: Path, challenge: Challenge) -> FolderContents:
    """Read a submission that is one `.npz` shard. Raises ValueError where it is not, NothingToJudgeError if empty."""
    try:
        shard = read_shard(path, challenge)
    except UnreadableFileError as problem:
        raise ValueError(f"{path} cannot be read: {problem.reason}") from None
    if not len(shard):
        raise NothingToJudgeError(f"{path} holds no image")
    _check_count(len(shard), path, challenge)
    sizes = Counter({(shard.images.shape[3], shard.images.shape[2]): len(shard)})
    images, names = _by_label([_shard_part(shard, path.name, challenge)])
    return _contents(images, names, DroppedFiles(), sizes, challenge)


def _check_count(count: int, origin: Path, challenge: Challenge) -> None:
    if count > (most := most_images(challenge)):
        raise ValueError(f"{origin} holds {count:,} images or more; at most {most:,} are read, keep fewer")


def _shard_part(shard: ImageSet, name: str, challenge: Challenge) -> _Part:
    images = ImageSet(fit_pixels(shard.images, challenge.size), shard.labels)
    return images, [f"{name}[{position}]" for position in range(len(shard))]


def _by_label(parts: list[_Part]) -> tuple[ImageSet, list[str]]:
    """All parts as one set, ordered by label; within a class in the order they came."""
    if len(parts) == 1:
        images, names = parts[0]
    else:
        arrays = zip(*((part.images, part.labels) for part, _ in parts), strict=True)
        images = ImageSet(*map(np.concatenate, arrays))
        names = [name for _, part_names in parts for name in part_names]
    if (np.diff(images.labels) >= 0).all():
        return images, names
    order = np.argsort(images.labels, kind="stable")
    return images.take(order), [names[position] for position in order]


def _contents(
    images: ImageSet, names: list[str], dropped: DroppedFiles, sizes: Counter[tuple[int, int]], challenge: Challenge
) -> FolderContents:
    resized = {had: count for had, count in sizes.most_common() if had != (challenge.size, challenge.size)}
    warnings = []
    if resized:
        (width, height), most = next(iter(resized.items()))
        warnings.append(
            f"{sum(resized.values()):,} of {len(images):,} images were resized to {challenge.size} x {challenge.size}"
            f" pixels ({most:,} of them from {width} x {height})"
        )
    if dropped.total:
        half = f", {dropped.half_written:,} of them half-written" if dropped.half_written else ""
        warnings.append(f"{dropped.total:,} files were left out{half}")
    missing = challenge.classes - len(np.unique(images.labels))
    if missing:
        warnings.append(f"{missing} of {challenge.classes} classes have no image")
    return FolderContents(
        images=images,
        paths=tuple(printable(name) for name in names),
        dropped=tuple(dropped.first),
        dropped_reasons=dict(dropped.by_reason.most_common()),
        half_written=dropped.half_written,
        resized=resized,
        warnings=tuple(warnings),
    )


@dataclass
class Listing:
    """The files of a submission, with paths relative to its folder.

    Attributes:
        images: label and path of every candidate, sorted.
        image_bytes: their size on disk together.
        shards: paths of `*.npz`.
    """

    images: list[tuple[int, str]] = field(default_factory=list)
    image_bytes: int = 0
    shards: list[str] = field(default_factory=list)
    dropped: DroppedFiles = field(default_factory=DroppedFiles)


def list_folder(root: Path, challenge: Challenge) -> Listing:
    """List class folders and shards. Links are not followed and count as left out, like everything of odd kinds.

    Raises ValueError where a class folder names no class or two, or there are more than MAX_ENTRIES entries.
    """
    listing = Listing()
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
        _drop_other(listing, path, "not PNG, JPEG, WebP or BMP")
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
