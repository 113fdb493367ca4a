"""What lies in the output folder once nothing can write any more: the whole images, counted and hashed."""

import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet, content_hash, denormalise
from evaluation.base.untrusted import Dropped
from evaluation.formats.decode import OnRead
from evaluation.submitted.folder import FolderContents, NoImagesError, read_folder
from evaluation.submitted.listing import OUTSIDE, list_folder

# the curve of images over time is thinned to about this many points
POINTS = 300
# dropped files named one by one in the record
EXAMPLES = 20


@dataclass(frozen=True)
class Collected:
    """The output folder as it will be judged.

    Attributes:
        contents: what was read, None where there is no whole image, or none was opened.
        pixels: the images in 8 bits, to look at.
        per_class: whole images by label.
        invalid: why the folder could not be read as labelled images; None where it could.
        dropped, half_written: files left out, and how many of these were being written when their writer ended.
        not_images: files and folders that were never images and are no part of the output.
        outside: of the dropped, images that lie outside class folders.
        examples, warnings: sentences on them.
        over_time: (seconds since the start, whole images by then).
    """

    contents: FolderContents | None = None
    pixels: ImageSet | None = None
    per_class: tuple[int, ...] = ()
    images_hash: str | None = None
    invalid: str | None = None
    dropped: int = 0
    half_written: int = 0
    not_images: int = 0
    outside: int = 0
    examples: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    over_time: tuple[tuple[float, int], ...] = ()

    @property
    def count(self) -> int:
        return sum(self.per_class)


def collect(
    folder: Path,
    challenge: Challenge,
    started_at: datetime | None = None,
    on_read: OnRead = lambda done, files: None,
) -> Collected:
    """Read the output folder, whatever became of it; nothing that the file system says is raised.

    One that was replaced by a link holds what somebody else wrote and is not read. With `started_at`, when the clock
    started, also the images over time.
    """
    try:
        if instead := _instead_of_folder(folder):
            return Collected(invalid=f"the output folder {folder} {instead}")
        contents = read_folder(folder, challenge, on_read)
    except NoImagesError as nothing:
        left_out = nothing.dropped
        return Collected(
            dropped=left_out.total,
            half_written=left_out.half_written,
            not_images=nothing.not_images,
            outside=nothing.outside,
            examples=examples(left_out.first),
        )
    except ValueError as error:
        return Collected(invalid=str(error))
    except (OSError, MemoryError) as error:
        return Collected(invalid=f"the output folder {folder} cannot be read: {error}")
    return Collected(
        contents=contents,
        pixels=denormalise(contents.images, challenge),
        per_class=tuple(np.bincount(contents.images.labels, minlength=challenge.classes).tolist()),
        images_hash=content_hash(contents.images),
        dropped=sum(contents.dropped_reasons.values()),
        half_written=contents.half_written,
        not_images=contents.not_images_count,
        outside=contents.dropped_reasons.get(OUTSIDE, 0),
        examples=examples(contents.dropped),
        warnings=contents.warnings,
        over_time=over_time(folder, contents, started_at) if started_at else (),
    )


def count_by_name(folder: Path, challenge: Challenge) -> Collected:
    """`collect` in a second or so, for who does not want to wait: what the images are called, and none is opened."""
    try:
        if instead := _instead_of_folder(folder):
            return Collected(invalid=f"the output folder {folder} {instead}")
        listing = list_folder(folder, challenge)
    except ValueError as error:
        return Collected(invalid=str(error))
    labels = np.array([label for label, _ in listing.images], np.int64)
    return Collected(
        per_class=tuple(np.bincount(labels, minlength=challenge.classes).tolist()),
        dropped=listing.dropped.total,
        half_written=listing.dropped.half_written,
        not_images=listing.not_images.total,
        outside=listing.dropped.by_reason[OUTSIDE],
        examples=examples(listing.dropped.first),
    )


def _instead_of_folder(folder: Path) -> str | None:
    """What became of the folder, as the end of a sentence; None where it still is one."""
    try:
        mode = folder.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "is gone: it was removed while the clock ran"
    if stat.S_ISLNK(mode):
        return "was replaced by a symbolic link"
    return None if stat.S_ISDIR(mode) else "was replaced by a file"


def examples(dropped: Sequence[Dropped]) -> tuple[str, ...]:
    """`path: reason` for the first of the files left out."""
    return tuple(f"{each.path}: {each.reason}" for each in dropped[:EXAMPLES])


def recollect(
    folder: Path, challenge: Challenge, images_hash: str | None, on_read: OnRead = lambda done, files: None
) -> Collected:
    """`collect` for a run that is over. Raises ValueError where the images are not those of its record's hash."""
    collected = collect(folder, challenge, on_read=on_read)
    if collected.images_hash != images_hash:
        raise ValueError(f"the images in {folder} are not those that the run made; they cannot be judged as its own")
    return collected


def image_times(folder: Path, paths: Sequence[str], started_at: datetime) -> NDArray[np.float64]:
    """Seconds from the clock's start to the last write of each image's file; the writer's word, not the clock's.

    Args:
        folder: the output folder.
        paths: of the images in it, `shard.npz[12]` for one of a shard.

    Returns:
        float64 (N,), in the order of `paths`, none below 0; 0 for a file that is gone.
    """
    files = [path.rpartition("[")[0] if path.endswith("]") else path for path in paths]
    times = dict.fromkeys(files, 0.0)
    for file in times:
        with suppress(OSError):
            times[file] = max(0.0, (folder / file).stat().st_mtime - started_at.timestamp())
    return np.array([times[file] for file in files])


def over_time(folder: Path, contents: FolderContents, started_at: datetime) -> tuple[tuple[float, int], ...]:
    """When the images came: (seconds, whole images by then), thinned to about `POINTS`."""
    times_N = np.sort(image_times(folder, contents.paths, started_at))
    counts = np.unique(np.linspace(1, len(times_N), min(POINTS, len(times_N))).astype(int))
    return tuple((round(float(times_N[count - 1]), 3), int(count)) for count in counts)
