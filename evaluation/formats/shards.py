"""Shards: `.npz` files with `images` and `labels`, read without trusting them."""

import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from evaluation.base.challenge import Challenge
from evaluation.base.files import written_whole
from evaluation.base.images import ImageSet
from evaluation.base.untrusted import MAX_SET_BYTES, UnreadableFileError, check_regular, most_images, printable
from evaluation.formats.decode import MAX_PIXELS

_BLOCK = 2**20
_CONTENT = "a shard holds `images`, uint8 (N, 3, H, W) or (N, H, W, 3), and `labels`, whole numbers (N,)"


class NoImagesInShardError(ValueError):
    """A whole `.npz` without anything like images: statistics, features, labels of something else."""


def write_shard(path: Path, images: ImageSet) -> None:
    """Write `images` uint8 (N, 3, H, W) and `labels` int64 (N,), uncompressed, whole or not at all."""
    with written_whole(path) as part, part.open("wb") as file:
        np.savez(file, images=images.images, labels=images.labels)


def read_shard(path: Path, challenge: Challenge) -> ImageSet:
    """Read a shard by anyone, at its own size: `images` uint8 (N, 3, H, W) or (N, H, W, 3), `labels` integers (N,).

    No pickle is loaded, and what the file declares is checked before memory is reserved for it.

    Raises:
        UnreadableFileError: it is no regular file, or cut short or damaged.
        NoImagesInShardError: nothing in it is named or shaped like images.
        ValueError: it is a whole file with the wrong arrays in it; the sentence says what is wrong.
    """
    name = printable(path.name)
    try:
        check_regular(path.lstat(), MAX_SET_BYTES)
        with zipfile.ZipFile(path) as archive:
            if not _holds_images(archive):
                raise NoImagesInShardError(f"{name} has no array 'images'; {_CONTENT}")
            images = _read_member(archive, "images", name, challenge)
            labels = _read_member(archive, "labels", name, challenge)
    except (zipfile.BadZipFile, EOFError) as error:
        raise UnreadableFileError("half-written shard", half_written=True) from error
    except (OSError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise UnreadableFileError("damaged shard") from error
    return ImageSet(_as_nchw(images, name), _as_labels(labels, len(images), challenge, name))


def may_hold_images(path: Path) -> bool:
    """Whether `read_shard` would not say NoImagesInShardError; True as well for what it cannot read."""
    try:
        check_regular(path.lstat(), MAX_SET_BYTES)
        with zipfile.ZipFile(path) as archive:
            return _holds_images(archive)
    except (UnreadableFileError, zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError, zlib.error):
        return True


def _holds_images(archive: zipfile.ZipFile) -> bool:
    """Whether an array has the name of what a shard holds, or as many dimensions as images have."""
    names = [info for info in archive.infolist() if info.filename.endswith(".npy")]
    if any(info.filename in ("images.npy", "labels.npy") for info in names):
        return True
    for info in names:
        with archive.open(info) as member:
            try:
                read = npy.read_array_header_1_0 if npy.read_magic(member) == (1, 0) else npy.read_array_header_2_0
                shape, _, dtype = read(member)
            except ValueError:
                continue
        if len(shape) > 3 or (len(shape) == 3 and dtype == np.uint8):
            return True
    return False


def _read_member(archive: zipfile.ZipFile, array: str, name: str, challenge: Challenge) -> NDArray[Any]:
    try:
        info = archive.getinfo(f"{array}.npy")
    except KeyError:
        raise ValueError(f"{name} has no array {array!r}; {_CONTENT}") from None
    if info.file_size > MAX_SET_BYTES:
        raise ValueError(f"{name} declares {info.file_size:,} bytes of {array}; the limit is {MAX_SET_BYTES:,}")
    with archive.open(info) as member:
        try:
            if npy.read_magic(member) != (1, 0):  # later versions are for headers that plain arrays never need
                raise ValueError
            shape, fortran, dtype = npy.read_array_header_1_0(member)
        except ValueError:
            raise ValueError(f"{name}: {array} is not a plain array; {_CONTENT}") from None
        body = info.file_size - member.tell()
        if dtype.kind not in "ui" or math.prod(shape) * dtype.itemsize != body:
            raise ValueError(f"{name}: {array} is {dtype} {shape} in {body:,} bytes; {_CONTENT}")
        if shape and shape[0] > (most := most_images(challenge)):
            raise ValueError(f"{name} holds {shape[0]:,} {array}; at most {most:,} are read, keep fewer")
        if array == "images" and math.prod(shape[1:]) > 3 * MAX_PIXELS:
            raise ValueError(f"{name} holds images of {shape[1:]}; at most {MAX_PIXELS:,} pixels each are read")
        flat: NDArray[Any] = np.empty(body // dtype.itemsize, dtype)
        view, done = flat.view(np.uint8), 0
        while done < body and (block := member.read(min(_BLOCK, body - done))):
            view[done : done + len(block)] = np.frombuffer(block, np.uint8)
            done += len(block)
    if done < body:
        raise EOFError
    return flat.reshape(shape, order="F" if fortran else "C")


def _as_nchw(images: NDArray[Any], name: str) -> NDArray[np.uint8]:
    if images.ndim != 4 or images.dtype != np.uint8 or 3 not in images.shape[1::2] or 0 in images.shape[1:]:
        raise ValueError(f"{name}: images are {images.dtype} {images.shape}; {_CONTENT}")
    return np.ascontiguousarray(images if images.shape[1] == 3 else images.transpose(0, 3, 1, 2))


def _as_labels(labels: NDArray[Any], count: int, challenge: Challenge, name: str) -> NDArray[np.int64]:
    if labels.shape != (count,):
        raise ValueError(f"{name}: {count} images but labels of shape {labels.shape}; {_CONTENT}")
    if count and (labels.min() < 0 or labels.max() >= challenge.classes):
        raise ValueError(
            f"{name}: labels run from {labels.min()} to {labels.max()}, but those of {challenge.title} from 0 to"
            f" {challenge.classes - 1}"
        )
    return labels.astype(np.int64)
