"""Files of the right size whose contents were lost."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from evaluation.base.untrusted import UnreadableFileError
from evaluation.formats.decode import decode


def _encoded(kind: str, flat: bool = False, **options: object) -> bytes:
    rng = np.random.default_rng(0)
    pixels = np.full((64, 64, 3), 9, np.uint8) if flat else rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


KINDS = [("PNG", {}), ("JPEG", {}), ("JPEG", {"progressive": True}), ("WEBP", {}), ("WEBP", {"lossless": True})]


@pytest.mark.parametrize("kept", [0.5, 0.75, 0.9])
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_a_file_whose_end_is_zeros_is_damaged(kind: str, options: dict[str, object], kept: float) -> None:
    whole = _encoded(kind, **options)
    decode(whole, 64)
    length = int(kept * len(whole))
    with pytest.raises(UnreadableFileError, match=r"half-written image|damaged"):
        decode(whole[:length] + bytes(len(whole) - length), 64)


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_flat_images_are_whole(kind: str, options: dict[str, object]) -> None:
    decode(_encoded(kind, flat=True, **options), 64)
    decode(_encoded(kind, flat=True, **options) + b"\n", 64)  # as some writers end a file


def test_a_changed_byte_and_a_hole_in_a_png_are_damage() -> None:
    whole = _encoded("PNG")
    for at, lost in ((len(whole) // 2, 1), (4096, 2048)):
        changed = whole[:at] + bytes(byte ^ 0x40 for byte in whole[at : at + lost]) + whole[at + lost :]
        with pytest.raises(UnreadableFileError, match="damaged"):
            decode(changed, 64)


def test_exif_that_nobody_can_read_costs_no_image() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), (1, 2, 3)).save(buffer, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff rubbish")
    assert decode(buffer.getvalue(), 32)[1] == (32, 32)


def _png(checksum: int | None) -> bytes:
    """A PNG in four image chunks, with `checksum` in them, the right one for None."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        right = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", right if kind != b"IDAT" else told(right))

    def told(right: int) -> int:
        return right if checksum is None else checksum

    rows = zlib.compress(b"".join(b"\0" + np.random.default_rng(row).bytes(96) for row in range(32)))
    parts = [rows[start : start + 1000] for start in range(0, len(rows), 1000)]
    header = struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0)
    images = b"".join(chunk(b"IDAT", part) for part in parts)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + images + chunk(b"IEND", b"")


def test_checksums_that_a_writer_leaves_out_are_no_damage() -> None:
    assert np.array_equal(decode(_png(None), 32)[0], decode(_png(0), 32)[0])
    with pytest.raises(UnreadableFileError, match="damaged"):
        decode(_png(1), 32)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_as_its_exif_says(orientation: int) -> None:
    stored = np.zeros((16, 16, 3), np.uint8)
    stored[:8, :8] = 255  # white in the stored upper left corner
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(stored).save(buffer, "PNG", exif=exif)
    shown = decode(buffer.getvalue(), 16)[0][0] > 127
    corners = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}
    row, column = corners[orientation]
    assert shown[8 * row : 8 * row + 8, 8 * column : 8 * column + 8].all() and shown.sum() == 64
