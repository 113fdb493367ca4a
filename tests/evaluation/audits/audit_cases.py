"""Sets for the tests of the audits: real images, good and bad generators made of them, and planted faults."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from evaluation.base.challenge import Challenge, get_challenge
from evaluation.base.images import ImageSet, denormalise
from evaluation.data.datasets import load_split
from evaluation.submitted.folder import FolderContents
from tests.real_data import real_data

_FOLDERS = {"cifar100": ("cifar-100-python",), "tiny-imagenet": ("tiny-imagenet-200",), "digits": ()}
_loaded: dict[tuple[str, str], ImageSet] = {}


def real_split(challenge: Challenge, split: str) -> ImageSet:
    """A real split, loaded once per process; skips the test where the data is not at hand."""
    key = (challenge.name, split)
    if key not in _loaded:
        folders = _FOLDERS[challenge.name]
        data = real_data(*folders) if folders else None
        _loaded[key] = denormalise(load_split(challenge, "train" if split == "train" else "test", data), challenge)
    return _loaded[key]


def per_class(images: ImageSet, count: int, seed: int = 0, skip: int = 0) -> ImageSet:
    """`count` random images of each class, class by class; other ones with another `skip`, up to what there is."""
    draw = np.random.default_rng(seed)
    chosen = [
        draw.permutation(np.flatnonzero(images.labels == label))[skip : skip + count] for label in range(_top(images))
    ]
    return images.take(np.concatenate(chosen))


def _top(images: ImageSet) -> int:
    return int(images.labels.max()) + 1


def contents_of(images: ImageSet) -> FolderContents:
    """As if `images` had been read from a folder without any incident."""
    return FolderContents(images, tuple(f"{position}.png" for position in range(len(images))))


def noise(challenge: Challenge, ipc: int, seed: int = 0) -> ImageSet:
    """The poorest generator: uniform noise."""
    shape = (ipc * challenge.classes, 3, challenge.size, challenge.size)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return ImageSet(pixels, np.repeat(np.arange(challenge.classes), ipc))


def gaussian(train: ImageSet, ipc: int, components: int, seed: int = 0) -> ImageSet:
    """A poor generator: one Gaussian a class in the space of a few principal components, all blurred and alike."""
    draw = np.random.default_rng(seed)
    flat = train.images.reshape(len(train), -1)
    sample = flat[draw.choice(len(flat), min(len(flat), 1500), replace=False)].astype(np.float32)
    centre = sample.mean(0)
    values, vectors = np.linalg.eigh((sample - centre) @ (sample - centre).T)
    basis = (sample - centre).T @ vectors[:, -components:] / np.sqrt(values[-components:])
    made = []
    for label in range(_top(train)):
        points = (flat[train.labels == label].astype(np.float32) - centre) @ basis
        drawn = draw.multivariate_normal(points.mean(0), np.cov(points.T) + np.eye(components) * 1e-3, ipc)
        made.append(drawn @ basis.T + centre)
    pixels = np.clip(np.rint(np.concatenate(made)), 0, 255).astype(np.uint8)
    return ImageSet(pixels.reshape(-1, *train.images.shape[1:]), np.repeat(np.arange(_top(train)), ipc))


def stored_in_order(images: ImageSet, order: NDArray[np.int64]) -> ImageSet:
    """The same images as a maker stores them who believes that class i of the challenge is class `order[i]`."""
    labels = np.argsort(order)[images.labels]
    by_label = np.argsort(labels, kind="stable")
    return ImageSet(images.images[by_label], labels[by_label])


def each(images: NDArray[np.uint8], change: Callable[[Image.Image], Image.Image]) -> NDArray[np.uint8]:
    """Pass every image of uint8 (N, 3, H, W) through a change of Pillow images."""
    changed = [change(Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))) for image in images]
    return np.stack([np.asarray(image).transpose(2, 0, 1) for image in changed])


def as_jpeg(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=75)
    return Image.open(buffer).convert("RGB")


def shifted(images: NDArray[np.uint8], pixels: int, fill: str) -> NDArray[np.uint8]:
    """Moved down and to the right; what comes in is `zero`, `reflect` (mirrored) or `wrap` (from the other side)."""
    size, mode = images.shape[-1], "constant" if fill == "zero" else fill
    padded = np.pad(images, ((0, 0), (0, 0), (pixels, 0), (pixels, 0)), mode=mode)  # type: ignore[call-overload]
    return np.ascontiguousarray(padded[:, :, :size, :size])


def cropped(images: NDArray[np.uint8], corner: int) -> NDArray[np.uint8]:
    """28 of 32 pixels from `corner` on (2 is the centre), enlarged to the old size."""
    size, unit = images.shape[-1], images.shape[-1] // 32
    box = (corner * unit, corner * unit, (corner + 28) * unit, (corner + 28) * unit)
    return each(images, lambda image: image.crop(box).resize((size, size), Image.Resampling.BILINEAR))


def altered(images: NDArray[np.uint8], how: str) -> NDArray[np.uint8]:
    """Copies that a comparison of pixels does not see; `how` is one of ALTERATIONS."""
    unit = images.shape[-1] // 32
    if how.startswith("shifted"):
        return shifted(images, 3 * unit, how.split()[1])
    if how.startswith("cropped"):
        return cropped(images, 2 if "centre" in how else 0)
    if how.startswith("turned by "):
        degrees = int(how.split()[2])
        return each(images, lambda image: image.rotate(degrees, Image.Resampling.BICUBIC))
    if how == "grey":
        return each(images, lambda image: image.convert("L").convert("RGB"))
    changed = {"upside down": images[:, :, ::-1], "negative": 255 - images, "channels swapped": images[:, ::-1]}
    return np.ascontiguousarray(changed[how])


ALTERATIONS = (
    "turned by 10 degrees",
    "turned by -7 degrees",
    "turned by 90 degrees",
    "turned by 180 degrees",
    "shifted zero",
    "shifted reflect",
    "shifted wrap",
    "upside down",
    "negative",
    "cropped centre",
    "cropped corner",
    "channels swapped",
    "grey",
)
CIFAR, TINY, DIGITS = (get_challenge(name) for name in ("cifar100", "tiny-imagenet", "digits"))
