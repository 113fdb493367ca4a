"""Encoded images -> pixels at a challenge's size, by many threads, with limits that hold for files by strangers."""

import io
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from evaluation.base.limits import usable_cores
from evaluation.base.untrusted import MAX_IMAGE_BYTES, UnreadableFileError, read_regular
from evaluation.formats.damage import is_damaged

warnings.filterwarnings("ignore", "Corrupt EXIF data", UserWarning)  # it turns nothing, and says nothing

FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})
MAX_PIXELS = 2**24  # of one image, by its header, before anything is decoded: 4096 x 4096
MAX_TOTAL_PIXELS = 2**37  # of all images together; about half an hour of decoding on two cores
# what takes how many files have been read, and of how many
OnRead = Callable[[int, int], None]
_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF", b"BM")
_CHUNK = 256  # files a thread takes at a time
_SMALL_FILE_BYTES = 8192  # below, decoding is mostly Python code, and a second thread makes it slower (measured)


@dataclass
class Decoded:
    """What came of a list of files.

    Attributes:
        images, kept: uint8 (N, 3, size, size) of those that could be read; int64 (N,), their positions in the list.
        problems: position -> why the file was left out.
        sizes: (width, height) -> how many of the kept images had it before they were brought to `size`.
    """

    images: NDArray[np.uint8]
    kept: NDArray[np.int64]
    problems: dict[int, UnreadableFileError] = field(default_factory=dict)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)


def decode(data: bytes, size: int) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Decode one image, turned as its EXIF says; all but `size` x `size` is cropped centrally and resampled (bicubic).

    Returns:
        uint8 (3, size, size) and the (width, height) that the file had.

    Raises:
        UnreadableFileError: not PNG, JPEG, WebP or BMP, damaged, cut short, or more pixels than MAX_PIXELS.
    """
    _check_webp_header(data)
    had = (0, 0)
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            had = image.size
            if had[0] * had[1] > MAX_PIXELS:
                raise UnreadableFileError("too many pixels")
            if image.mode.startswith(("I", "F")):
                raise UnreadableFileError("more than 8 bits a channel")
            if is_damaged(data):
                raise ValueError("its contents contradict its checksum, or lack their end")
            with suppress(Exception):  # EXIF that nobody can read turns nothing
                ImageOps.exif_transpose(image, in_place=True)
            return _fit(image.convert("RGB"), size), had
    except Image.DecompressionBombError:
        raise UnreadableFileError("too many pixels") from None
    except MemoryError:
        raise UnreadableFileError("needs too much memory") from None
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, ArithmeticError) as error:
        cut_short = _cut_short(data)
        reason = "half-written image" if cut_short else "damaged, or not an image"
        raise UnreadableFileError(reason, half_written=cut_short, pixels=had[0] * had[1]) from error


def fit_pixels(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """uint8 (N, 3, H, W) -> uint8 (N, 3, size, size), each image as `decode` would bring it there."""
    if images.shape[2:] == (size, size):
        return images
    fitted = np.empty((len(images), 3, size, size), np.uint8)
    for position, image in enumerate(images):
        fitted[position] = _fit(Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))), size)
    return fitted


def _fit(image: Image.Image, size: int) -> NDArray[np.uint8]:
    if image.size != (size, size):
        image = ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)
    return np.asarray(image).transpose(2, 0, 1)


def decode_files(
    paths: Sequence[Path], size: int, mean_bytes: float = np.inf, on_read: OnRead = lambda done, files: None
) -> Decoded:
    """Decode many files.

    Args:
        paths: links are not followed.
        size: height and width of the result, pixels.
        mean_bytes: mean size of the files where known: small ones are read by one thread.

    Raises:
        ValueError: the images, damaged ones too, have more than MAX_TOTAL_PIXELS pixels together.
    """
    images = np.empty((len(paths), 3, size, size), np.uint8)
    decoded = Decoded(images, np.empty(0, np.int64))

    def decode_chunk(start: int) -> tuple[Counter[tuple[int, int]], dict[int, UnreadableFileError]]:
        sizes: Counter[tuple[int, int]] = Counter()
        problems: dict[int, UnreadableFileError] = {}
        for position in range(start, min(start + _CHUNK, len(paths))):
            try:
                images[position], had = decode(read_regular(paths[position], MAX_IMAGE_BYTES), size)
                sizes[had] += 1
            except UnreadableFileError as problem:
                problems[position] = problem.with_traceback(None)
        return sizes, problems

    threads = 1 if mean_bytes < _SMALL_FILE_BYTES else min(8, usable_cores())
    pixels = 0
    with ThreadPoolExecutor(threads) as pool:
        for sizes, problems in pool.map(decode_chunk, range(0, len(paths), _CHUNK)):
            on_read(sum(decoded.sizes.values()) + len(decoded.problems), len(paths))
            decoded.problems |= problems
            decoded.sizes += sizes
            pixels += sum(width * height * count for (width, height), count in sizes.items())
            pixels += sum(problem.pixels for problem in problems.values())
            if pixels > MAX_TOTAL_PIXELS:
                pool.shutdown(wait=False, cancel_futures=True)
                raise ValueError(
                    f"the images have more than {MAX_TOTAL_PIXELS:,} pixels together; write them at {size} x {size}"
                )
    whole = np.ones(len(paths), bool)
    whole[list(decoded.problems)] = False
    decoded.kept = np.flatnonzero(whole)
    if decoded.problems:
        decoded.images = images[whole]
    return decoded


def _check_webp_header(data: bytes) -> None:
    """Refuse a huge WebP before it is opened: its decoder reserves the canvas that the header claims at once."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return
    if data[12:16] == b"VP8X":
        width = 1 + int.from_bytes(data[24:27], "little")
        height = 1 + int.from_bytes(data[27:30], "little")
    elif data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width = int.from_bytes(data[26:28], "little") & 0x3FFF
        height = int.from_bytes(data[28:30], "little") & 0x3FFF
    if width * height > MAX_PIXELS:
        raise UnreadableFileError("too many pixels")


def _cut_short(data: bytes) -> bool:
    """Whether an undecodable file begins as an image of a known kind and lacks its end."""
    if any(magic.startswith(data) for magic in _MAGIC):
        return True
    if data.startswith(b"\x89PNG"):
        return b"IEND" not in data[-16:]
    if data.startswith(b"\xff\xd8"):
        return b"\xff\xd9" not in data[-16:]
    if data.startswith(b"RIFF"):
        return len(data) < 8 + int.from_bytes(data[4:8], "little")
    return data.startswith(b"BM") and len(data) < int.from_bytes(data[2:6], "little")
