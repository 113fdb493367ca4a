"""Reading files that strangers wrote: regular files only, bounded sizes, a bounded account of what was left out."""

import errno
import os
import stat
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from evaluation.base.challenge import Challenge

MAX_IMAGE_BYTES = 32 * 2**20  # one encoded image
MAX_SET_BYTES = 4 * 2**30  # all images of a submission at the challenge's size, as 8-bit pixels
MAX_ENTRIES = 1_000_000  # files and folders in a submission
KEPT_VERBATIM = 100  # problems told one by one; beyond, they are only counted


class NothingToJudgeError(ValueError):
    """A submission without one whole image: a user's fault with an exit code of its own."""


class UnreadableFileError(Exception):
    """One file that is left out.

    Attributes:
        reason: a few words of a fixed vocabulary, e.g. `damaged image`.
        half_written: whether it looks like a file that was being written when its writer died.
        pixels: how many may have been decoded before it failed.
    """

    def __init__(self, reason: str, half_written: bool = False, pixels: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.half_written = half_written
        self.pixels = pixels


@dataclass(frozen=True)
class Dropped:
    """A file that was left out: its printable path, the reason, and whether it was being written."""

    path: str
    reason: str
    half_written: bool = False


@dataclass
class DroppedFiles:
    """The files left out, in bounded memory: the first verbatim, how many by reason, how many half-written."""

    first: list[Dropped] = field(default_factory=list)
    by_reason: Counter[str] = field(default_factory=Counter)
    half_written: int = 0

    def add(self, path: str, reason: str, half_written: bool = False) -> None:
        self.by_reason[reason] += 1
        self.half_written += half_written
        if len(self.first) < KEPT_VERBATIM:
            self.first.append(Dropped(printable(path), reason, half_written))

    @property
    def total(self) -> int:
        return self.by_reason.total()


def most_images(challenge: Challenge) -> int:
    """How many images of a submission are read: what MAX_SET_BYTES hold at the challenge's size."""
    return MAX_SET_BYTES // (3 * challenge.size**2)


def printable(name: str, longest: int = 200) -> str:
    """`name` fit for one line of a report: control characters and broken encodings escaped, the end cut."""
    shown = _escaped(name)
    return shown if len(shown) <= longest else shown[: longest - 3] + "..."


def harmless(text: str) -> str:
    """`text` fit for a terminal: as `printable`, but of any length, with its lines and tabs as they are."""
    return text if text.isprintable() else "".join(c if c in "\n\t" else _escaped(c) for c in text)


def _escaped(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def read_regular(path: Path, limit: int) -> bytes:
    """All bytes of a regular file of at most `limit` bytes; never follows a symbolic link, never waits on a pipe.

    Raises UnreadableFileError for a link, no regular file, an empty or too large one, or what the system will not give.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        reason = "symbolic link" if error.errno == errno.ELOOP else "cannot be opened"
        raise UnreadableFileError(reason) from None
    try:
        status = os.fstat(descriptor)
        check_regular(status, limit)  # before Python looks at it, which is no friend of folders
    except UnreadableFileError:
        os.close(descriptor)
        raise
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        try:
            data = file.read(status.st_size) or b""
            while len(data) < status.st_size and (more := file.read(status.st_size - len(data))):
                data += more
        except OSError:
            raise UnreadableFileError("cannot be read") from None
    return data


def check_regular(status: os.stat_result, limit: int) -> None:
    """Raises UnreadableFileError unless `status` is of a regular file of 1 to `limit` bytes."""
    if stat.S_ISLNK(status.st_mode):
        raise UnreadableFileError("symbolic link")
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableFileError("not a regular file")
    if status.st_size == 0:
        raise UnreadableFileError("empty file", half_written=True)
    if status.st_size > limit:
        raise UnreadableFileError("file too large")
