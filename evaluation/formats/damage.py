"""Damage that decoders pass over: files of the right size whose contents were lost to zeros or flipped bits.

A download into a preallocated file or a power cut leaves such files. PNG has checksums, JPEG an end marker, and the
compressed data of WebP never ends in many zeros; BMP has nothing to tell it by.
"""

import zlib
from collections.abc import Iterator

_PNG = b"\x89PNG\r\n\x1a\n"
_END_OF_JPEG, _SCAN_OF_JPEG = b"\xff\xd9", b"\xff\xda"
_ZEROS = 64  # at the end of a WebP


def is_damaged(data: bytes) -> bool:
    """Whether an encoded image that begins well has lost its contents. Other kinds of files are not judged."""
    if data.startswith(_PNG):
        return _png_is_damaged(data)
    if data.startswith(b"\xff\xd8"):
        return data.rfind(_END_OF_JPEG) < data.rfind(_SCAN_OF_JPEG)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return len(data) - len(data.rstrip(b"\0")) > max(_ZEROS, len(data) // 16)
    return False


def _png_is_damaged(data: bytes) -> bool:
    """Whether an image chunk contradicts its checksum, or the last chunk is missing.

    A writer that leaves checksums out has zeros in all of them, and an end.
    """
    chunks = list(_png_chunks(data))
    if not chunks or chunks[-1][0] != b"IEND":
        return True
    images = [(body, told) for kind, body, told in chunks if kind == b"IDAT"]
    if images and all(told == 0 for _, told in images):
        return False
    return any(zlib.crc32(body) != told for body, told in images)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview, int]]:
    """Kind of each chunk, what its checksum is over, and the checksum; up to the end or to what is no chunk."""
    view, at = memoryview(data), len(_PNG)
    while at + 12 <= len(data):
        length = int.from_bytes(view[at : at + 4], "big")
        end = at + 8 + length
        kind = bytes(view[at + 4 : at + 8])
        if end + 4 > len(data) or not kind.isalpha():
            return
        yield kind, view[at + 4 : end], int.from_bytes(view[end : end + 4], "big")
        if kind == b"IEND":
            return
        at = end + 4
