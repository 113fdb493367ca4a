"""Read a folder of class folders and shards that anyone wrote, in bounded memory and time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet
from evaluation.base.untrusted import DroppedFiles, NothingToJudgeError, UnreadableFileError, most_images, printable
from evaluation.formats.class_folders import accepted
from evaluation.formats.decode import decode_files, fit_pixels
from evaluation.formats.shards import read_shard
from evaluation.submitted.contents import FolderContents
from evaluation.submitted.listing import list_folder

_Part = tuple[ImageSet, list[str]]  # images and where each came from


class NoImagesError(NothingToJudgeError):
    """A folder without one whole image.

    Attributes:
        dropped: what was in it instead.
    """

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
    room = _room(challenge, len(listing.images), folder)
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
        room = _room(challenge, len(shard), folder, room)
        parts.append(_shard_part(shard, name, challenge))
        sizes[shard.images.shape[3], shard.images.shape[2]] += len(shard)
    images, names = _by_label(parts)
    if not len(images):
        raise NoImagesError(folder, listing.dropped, challenge)
    return _contents(images, names, listing.dropped, sizes, challenge)


def read_shard_file(path: Path, challenge: Challenge) -> FolderContents:
    """Read a submission that is one `.npz` shard.

    Raises:
        ValueError: it cannot be read or holds anything else; NothingToJudgeError, it holds no image.
    """
    try:
        shard = read_shard(path, challenge)
    except UnreadableFileError as problem:
        raise ValueError(f"{path} cannot be read: {problem.reason}") from None
    if not len(shard):
        raise NothingToJudgeError(f"{path} holds no image")
    _room(challenge, len(shard), path)
    sizes = Counter({(shard.images.shape[3], shard.images.shape[2]): len(shard)})
    images, names = _by_label([_shard_part(shard, path.name, challenge)])
    return _contents(images, names, DroppedFiles(), sizes, challenge)


def _room(challenge: Challenge, count: int, origin: Path, room: int | None = None) -> int:
    """How many more images may follow after `count` of them. Raises ValueError where they do not fit."""
    most = most_images(challenge)
    left = (most if room is None else room) - count
    if left < 0:
        raise ValueError(f"{origin} holds {most - left:,} images or more; at most {most:,} are read, keep fewer")
    return left


def _shard_part(shard: ImageSet, name: str, challenge: Challenge) -> _Part:
    images = ImageSet(fit_pixels(shard.images, challenge.size), shard.labels)
    return images, [f"{name}[{position}]" for position in range(len(shard))]


def _by_label(parts: list[_Part]) -> tuple[ImageSet, list[str]]:
    """All parts as one set, ordered by label; within a class in the order they came."""
    if len(parts) == 1:
        images, names = parts[0]
    else:
        images = ImageSet(
            np.concatenate([part.images for part, _ in parts]), np.concatenate([part.labels for part, _ in parts])
        )
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
            f"{sum(resized.values()):,} of {len(images):,} images were brought to {challenge.size} x {challenge.size}"
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
