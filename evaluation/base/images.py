"""Labelled images in memory, 8-bit pixels or the normalised floats of the challenge's evaluator; subsets of them."""

import hashlib
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from evaluation.base.challenge import Challenge


@dataclass(frozen=True)
class _LabelledImages:
    images: NDArray[Any]
    labels: NDArray[np.int64]

    dtype: ClassVar[type[np.generic]]

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if images.ndim != 4 or images.shape[1] != 3 or images.dtype != self.dtype:
            wanted = f"{np.dtype(self.dtype)} (N, 3, H, W)"
            raise ValueError(f"images must be {wanted}, not {images.dtype} {images.shape}")
        if labels.shape != (len(images),) or labels.dtype != np.int64:
            raise ValueError(f"labels must be int64 ({len(images)},), not {labels.dtype} {labels.shape}")

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: NDArray[np.int64] | slice) -> Self:
        """The images at `index`, in its order."""
        return type(self)(self.images[index], self.labels[index])


@dataclass(frozen=True)
class ImageSet(_LabelledImages):
    """Labelled 8-bit images: uint8 (N, 3, H, W), RGB, in [0, 255]; labels int64 (N,), in [0, classes)."""

    images: NDArray[np.uint8]
    dtype = np.uint8


@dataclass(frozen=True)
class NormalisedSet(_LabelledImages):
    """Labelled float images as the challenge's evaluator takes them: (pixel / 255 - mean) / std.

    float32 (N, 3, H, W), RGB, any value, as whoever wrote them normalised them; labels int64 (N,), in [0, classes).
    """

    images: NDArray[np.float32]
    dtype = np.float32


def _columns(challenge: Challenge) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    mean = np.array(challenge.mean, np.float32).reshape(1, 3, 1, 1)
    return mean, np.array(challenge.std, np.float32).reshape(1, 3, 1, 1)


def normalise(images: NDArray[np.uint8], challenge: Challenge) -> NDArray[np.float32]:
    """uint8 (N, 3, H, W) -> float32 of the same shape, (pixel / 255 - mean) / std with the challenge's numbers."""
    mean, std = _columns(challenge)
    normalised = images.astype(np.float32)
    normalised /= np.float32(255)
    normalised -= mean
    normalised /= std
    return normalised


def denormalise(images: ImageSet | NormalisedSet, challenge: Challenge) -> ImageSet:
    """The same images in 8 bits: exact for what `normalise` made; else rounded and clipped, NaN as 0.

    Scores are never taken from this; audits look at it.
    """
    if isinstance(images, ImageSet):
        return images
    mean, std = _columns(challenge)
    pixels = np.empty(images.images.shape, np.uint8)
    for start in range(0, len(images), 1024):  # in blocks: the floats are four times the size of the result
        with np.errstate(over="ignore", invalid="ignore"):  # values of any size end up as black or white
            block = (images.images[start : start + 1024] * std + mean) * np.float32(255)
        block = np.nan_to_num(block, copy=False, nan=0.0, posinf=255.0, neginf=0.0)
        pixels[start : start + 1024] = np.clip(np.rint(block), 0, 255)
    return ImageSet(pixels, images.labels)


def content_hash(images: ImageSet | NormalisedSet) -> str:
    """SHA-256 over type, shape, pixels and labels, as hex: equal for equal sets in the same order, on every machine."""
    digest = hashlib.sha256()
    for array in (images.images, images.labels):
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        digest.update(f"{little.dtype.str}{little.shape}".encode())
        digest.update(little.data)
    return digest.hexdigest()


def random_subset(images: ImageSet, per_class: int, seed: int) -> ImageSet:
    """At most `per_class` random images of each class, none twice."""
    return images.take(random_index(images.labels, per_class, seed))


def random_index(labels: NDArray[np.int64], per_class: int, seed: int) -> NDArray[np.int64]:
    """Where the images of `random_subset` stand."""
    order = np.random.default_rng(seed).permutation(len(labels))
    return np.concatenate([order[labels[order] == label][:per_class] for label in np.unique(labels)])


def first_of_each(images: ImageSet, per_class: int) -> ImageSet:
    """The first `per_class` images of each class, fewer where it has fewer; class by class."""
    return images.take(first_index(images.labels, per_class))


def first_index(labels: NDArray[np.int64], per_class: int) -> NDArray[np.int64]:
    """Where the images of `first_of_each` stand."""
    return np.concatenate([np.flatnonzero(labels == label)[:per_class] for label in np.unique(labels)])


def balanced_split(train: ImageSet, fraction: float, maximum: int, seed: int = 0) -> tuple[ImageSet, ImageSet]:
    """Hold out equally many random images of each class, to make choices on.

    Args:
        fraction: of the rarest class that is held out, at least one image.
        maximum: images held out in all.

    Returns:
        (the rest, the held-out images).
    """
    fewest = int(np.bincount(train.labels)[np.unique(train.labels)].min())
    each = max(1, min(int(fraction * fewest), maximum // len(np.unique(train.labels))))
    held = np.zeros(len(train), bool)
    held[random_index(train.labels, each, seed)] = True
    return train.take(np.flatnonzero(~held)), train.take(np.flatnonzero(held))
