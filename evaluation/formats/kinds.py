"""What a file or folder in a folder of images is: hidden, an image of another format, or never an image."""

from __future__ import annotations

import os
from pathlib import Path

# What file managers, notebooks, synchronisers and NAS systems name their own folders with.
_HIDDEN_FOLDERS = (".", "__", "@", "#", "$", "~")
_HIDDEN_FOLDER_NAMES = frozenset({"lost+found", "system volume information"})
_HIDDEN_FILES = (".", "~$")
# Of images that are not read: told as lost, because somebody may have meant them.
_IMAGE_SUFFIXES = frozenset(
    {".gif", ".tif", ".tiff", ".avif", ".heic", ".heif", ".jp2", ".jxl", ".ppm", ".pgm", ".pbm", ".pnm", ".tga"}
)
_IMAGE_MAGIC = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF8",
    b"II*\0",
    b"MM\0*",
    b"8BPS",
    b"\0\0\0\x0cjP  ",
    b"\0\0\0\x0cJXL ",
)
_IMAGE_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"mif1")  # in an ISO media file's `ftyp`
_LONGEST_MAGIC = 16


def is_hidden(name: str, folder: bool) -> bool:
    """Whether a name is of what no person put there to be read: `.DS_Store`, `._0.png`, `__MACOSX`, `@eaDir`.

    A file that was being written (`.part`) is not meant by it.
    """
    if not folder:
        return name.startswith(_HIDDEN_FILES)
    return name.startswith(_HIDDEN_FOLDERS) or name.lower() in _HIDDEN_FOLDER_NAMES


def is_foreign_image(path: Path) -> bool:
    """Whether a file without the name of an image that is read holds an image all the same; its beginning tells."""
    if path.suffix.lower() in _IMAGE_SUFFIXES:
        return True
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            start = os.read(descriptor, _LONGEST_MAGIC)
        finally:
            os.close(descriptor)
    except OSError:  # a link, a pipe without a reader, or not for us to read
        return False
    if start.startswith(_IMAGE_MAGIC):
        return True
    if start.startswith(b"RIFF"):
        return start[8:12] == b"WEBP"
    if start.startswith(b"BM"):
        return start[6:10] == bytes(4)
    return start[4:8] == b"ftyp" and start[8:12] in _IMAGE_BRANDS
