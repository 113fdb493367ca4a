"""Read a folder of class folders and shards that anyone wrote, in bounded memory and time."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet, NormalisedSet
from evaluation.base.untrusted import (
    Dropped,
    DroppedFiles,
    NothingToJudgeError,
    UnreadableFileError,
    most_images,
    printable,
)
from evaluation.formats.class_folders import accepted
from evaluation.formats.decode import OnRead, decode_files, fit_pixels
from evaluation.formats.shards import NoImagesInShardError, read_shard
from evaluation.formats.tensors import HalfWrittenTensorError, read_tensor_and_notes
from evaluation.submitted.listing import OUTSIDE, list_folder

_Part = tuple[ImageSet, list[str]]  # images and where each came from


@dataclass(frozen=True)
class FolderContents:
    """What was read from a folder, a shard or a `.pt` file.

    Attributes:
        images: the whole readable images at the challenge's size, class by class, each class in the order of its paths.
        paths: where each image came from, relative to the folder; `shard.npz[12]` for the image at 12 of a shard.
        dropped: the first files that were left out, one by one.
        dropped_reasons: reason -> how many, over all files that were left out.
        not_images: the first files and folders that were never images, and no part of the submission.
        not_images_count: how many there are in all.
        half_written: how many of these were being written when their writer ended.
        resized: (width, height) -> how many images had that size and were brought to the challenge's.
        warnings: sentences for people.
    """

    images: ImageSet | NormalisedSet
    paths: tuple[str, ...]
    dropped: tuple[Dropped, ...] = ()
    dropped_reasons: Mapping[str, int] = field(default_factory=dict)
    not_images: tuple[Dropped, ...] = ()
    not_images_count: int = 0
    half_written: int = 0
    resized: Mapping[tuple[int, int], int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class NoImagesError(NothingToJudgeError):
    """A folder without one whole image; `dropped` and `not_images`, a count, are what was in it instead.

    `outside` of those dropped are images that lie outside class folders.
    """

    def __init__(self, folder: Path, dropped: DroppedFiles, not_images: int, challenge: Challenge) -> None:
        outside = dropped.by_reason[OUTSIDE]
        others = [(reason, count) for reason, count in dropped.by_reason.most_common(3) if reason != OUTSIDE]
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in others)
        told = [f"{dropped.total - outside:,} files were left out: {reasons}"] if others else []
        told += [f"{not_images:,} files or folders are not images"] if not_images else []
        left_out = f" ({'; '.join(told)})" if told else ""
        missing = f"no image in a class folder: {outside_words(outside)}" if outside else "no readable image"
        super().__init__(f"{folder} holds {missing}{left_out}; {accepted(challenge)}")
        self.dropped, self.not_images, self.outside = dropped, not_images, outside


def outside_words(count: int) -> str:
    """`155 images lie outside class folders`."""
    return f"{count:,} images lie outside class folders" if count != 1 else "1 image lies outside class folders"


def read_folder(folder: Path, challenge: Challenge, on_read: OnRead = lambda done, files: None) -> FolderContents:
    """Read every whole image of a submission's folder.

    Class folders are named by label index, class name, WordNet id or `007-name` and hold PNG, JPEG, WebP or BMP of any
    size; shards `*.npz` beside them hold `images` and `labels`. Links are not followed, no code in a file runs, and
    what cannot be read is left out and told. A shard of nothing but images that were read before is not counted again.
    The challenge's own `.pt` file is read where there is no other image.

    Raises:
        NoImagesError: there is no whole image.
        ValueError: the folder cannot be listed, a class folder names no class or two, a `.pt` file that is to be read
            holds something else, or there are more images than fit.
    """
    listing = list_folder(folder, challenge)
    count = len(listing.images)
    _check_count(count, folder, challenge)
    paths = [folder / path for _, path in listing.images]
    decoded = decode_files(paths, challenge.size, listing.image_bytes / max(1, len(paths)), on_read)
    for position, problem in sorted(decoded.problems.items()):
        listing.dropped.add(listing.images[position][1], problem.reason, problem.half_written)
    kept = [listing.images[position] for position in decoded.kept]
    labels = np.array([label for label, _ in kept], np.int64)
    parts: list[_Part] = [(ImageSet(decoded.images, labels), [path for _, path in kept])]
    sizes = decoded.sizes
    for name in listing.shards:
        try:
            shard = read_shard(folder / name, challenge)
        except NoImagesInShardError:
            listing.not_images.add(name, "shard without images")
            continue
        except UnreadableFileError as problem:
            listing.dropped.add(name, problem.reason, problem.half_written)
            continue
        part = _shard_part(shard, name, challenge)
        if len(shard) and _pictures([part]) <= _pictures(parts):
            listing.not_images.add(name, "shard of images that are here already")
            continue
        count += len(shard)
        _check_count(count, folder, challenge)
        parts.append(part)
        sizes[shard.images.shape[3], shard.images.shape[2]] += len(shard)
    images, names = _by_label(parts)
    notes: tuple[str, ...] = ()
    tensor: NormalisedSet | None = None
    if listing.tensor and len(images):
        listing.dropped.add(listing.tensor, "tensor file beside other images")
    elif listing.tensor:
        try:
            tensor, notes = read_tensor_and_notes(folder / listing.tensor, challenge)
        except HalfWrittenTensorError:
            listing.dropped.add(listing.tensor, "half-written tensor file", half_written=True)
    if tensor is None and not len(images):
        raise NoImagesError(folder, listing.dropped, listing.not_images.total, challenge)
    if tensor is not None and listing.tensor:
        names = _positions(listing.tensor, len(tensor))
    contents = _contents(images if tensor is None else tensor, names, listing.dropped, sizes, challenge, notes)
    return replace(contents, not_images=tuple(listing.not_images.first), not_images_count=listing.not_images.total)


def read_tensor_file(path: Path, challenge: Challenge) -> FolderContents:
    """Read a submission that is one `.pt` file, under any name. Raises ValueError where it is not."""
    images, notes = read_tensor_and_notes(path, challenge)
    return _contents(images, _positions(path.name, len(images)), DroppedFiles(), Counter(), challenge, notes)


def _positions(name: str, count: int) -> list[str]:
    return [f"{name}[{position}]" for position in range(count)]


def _pictures(parts: list[_Part]) -> set[bytes]:
    """A hash of each image with its label."""
    return {
        hashlib.blake2b(
            np.ascontiguousarray(image).data, digest_size=16, salt=int(label).to_bytes(8, "little")
        ).digest()
        for part, _ in parts
        for image, label in zip(part.images, part.labels, strict=True)
    }


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
    return images, _positions(name, len(shard))


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
    images: ImageSet | NormalisedSet,
    names: list[str],
    dropped: DroppedFiles,
    sizes: Counter[tuple[int, int]],
    challenge: Challenge,
    notes: tuple[str, ...] = (),
) -> FolderContents:
    resized = {had: count for had, count in sizes.most_common() if had != (challenge.size, challenge.size)}
    warnings = list(notes)
    if resized:
        (width, height), most = next(iter(resized.items()))
        warnings.append(
            f"{sum(resized.values()):,} of {len(images):,} images were resized to {challenge.size} x {challenge.size}"
            f" pixels ({most:,} of them from {width} x {height})"
        )
    if dropped.total:
        half = f", {dropped.half_written:,} of them half-written" if dropped.half_written else ""
        warnings.append(f"{dropped.total:,} files were left out{half}")
    if outside := dropped.by_reason[OUTSIDE]:
        warnings.append(outside_words(outside))
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
