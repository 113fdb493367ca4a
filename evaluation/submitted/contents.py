"""FolderContents: the images of a submission and everything worth telling about how they were read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from evaluation.base.images import ImageSet, NormalisedSet
from evaluation.base.untrusted import Dropped


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
