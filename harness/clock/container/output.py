"""Copying a dead container's output folder out: regular files only, nothing later than the deadline, bounded bytes."""

import math
import os
import shutil
import tarfile
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader, RawIOBase
from pathlib import Path, PurePosixPath
from typing import IO

from harness.clock.container.changes import Changes
from harness.clock.late import late_note

MOST_DEPTH = 4  # folders above a file; the judge reads one
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class CopyLimits:
    """What is copied of an output folder.

    Attributes:
        most_bytes: of all files together, as long as they say they are: a file full of holes, or one with many names,
            would else grow beyond what the volume holds.
        until: UNIX seconds; what was changed later does not count.
        give_up: CLOCK_MONOTONIC seconds at which the copying ends, wherever it is.
    """

    most_bytes: int
    until: float = math.inf
    give_up: float = math.inf

    @property
    def is_over(self) -> bool:
        """Whether it is time to give up."""
        return time.monotonic() > self.give_up


@dataclass
class Copied:
    """What was copied, in files; `late` are newer than the deadline, `left_out` no plain files, too deep or too many.

    `late` is None where the engine did not tell when files were changed after a kill at the deadline. `cut_short` says
    that there was no time for more.
    """

    files: int = 0
    late: int | None = 0
    left_out: int = 0
    cut_short: bool = False

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what does not count."""
        said = []
        if self.late is None:
            said.append("the engine did not tell which files were changed after the deadline; they count")
        elif self.late:
            said.append(late_note(self.late))
        if self.left_out:
            said.append(
                f"{self.left_out:,} entries in /output were not copied: no plain files, too deep, too large in all or"
                " more than fits on the disk"
            )
        if self.cut_short:
            said.append(f"{self.files:,} files were copied from the container before it was removed; there were more")
        return tuple(said)


class _Target:
    """The folder that is copied to, and how many bytes there still is room for."""

    def __init__(self, folder: Path, room: int) -> None:
        self._folder, self._room = folder, room

    def take(self, source: IO[bytes], place: PurePosixPath, size: int, modified_ns: int) -> bool:
        """Copy one file with its time; whether there was room for it, in all and on the disk."""
        if size > self._room:
            return False
        self._room -= size
        try:
            (self._folder / place).parent.mkdir(parents=True, exist_ok=True)
            with (self._folder / place).open("wb") as target:
                shutil.copyfileobj(source, target, _CHUNK_BYTES)
                target.flush()
                with suppress(OverflowError):  # a time that the system cannot hold
                    os.utime(target.fileno(), ns=(modified_ns, modified_ns))
        except OSError:  # the disk is full
            with suppress(OSError):
                (self._folder / place).unlink(missing_ok=True)
            return False
        return True


def copy_folder(source: int, folder: Path, limits: CopyLimits) -> Copied:
    """Copy the folder open as descriptor `source` into `folder`; links are never followed."""
    target, copied = _Target(folder, limits.most_bytes), Copied()
    _copy_entries(source, PurePosixPath(), target, limits, copied)
    return copied


def _copy_entries(source: int, place: PurePosixPath, target: _Target, limits: CopyLimits, copied: Copied) -> None:
    with os.scandir(source) as entries:
        for entry in entries:
            if limits.is_over:
                copied.cut_short = True
                return
            inside = place / entry.name
            is_folder = entry.is_dir(follow_symlinks=False)
            if not (is_folder or entry.is_file(follow_symlinks=False)) or len(inside.parts) > MOST_DEPTH + 1:
                copied.left_out += 1
                continue
            opened = os.open(entry.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=source)
            if is_folder:
                try:
                    _copy_entries(opened, inside, target, limits, copied)
                finally:
                    os.close(opened)
                continue
            with os.fdopen(opened, "rb") as file:
                status = os.fstat(opened)
                if status.st_ctime > limits.until:
                    copied.late = (copied.late or 0) + 1
                elif target.take(file, inside, status.st_size, status.st_mtime_ns):
                    copied.files += 1
                else:
                    copied.left_out += 1


class _Chunks(RawIOBase):
    """Chunks of bytes, as they come, as a file."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks, self._rest = iter(chunks), b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the base takes any buffer
        if not self._rest:
            self._rest = next(self._chunks, b"")
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def copy_archive(chunks: Iterable[bytes], folder: Path, limits: CopyLimits, changes: Changes | None) -> Copied:
    """Copy a folder that comes as a tar archive, with its own name first, into `folder`; see `copy_folder`.

    Args:
        changes: when its files were changed; None where that is not known, and all count.
    """
    target, copied = _Target(folder, limits.most_bytes), Copied(late=None if changes is None else 0)
    with tarfile.open(fileobj=BufferedReader(_Chunks(chunks), _CHUNK_BYTES), mode="r|") as tar:
        for entry in tar:
            if limits.is_over:
                copied.cut_short = True
                break
            if entry.isdir():
                continue
            place = PurePosixPath(*PurePosixPath(entry.name).parts[1:])
            source = tar.extractfile(entry) if entry.isreg() else None
            if source is None or ".." in place.parts or not 0 < len(place.parts) <= MOST_DEPTH + 1:
                copied.left_out += 1
            elif changes is not None and changes.is_late(place, limits.until):
                copied.late = (copied.late or 0) + 1
            elif target.take(source, place, entry.size, int(entry.mtime * 1e9)):
                copied.files += 1
            else:
                copied.left_out += 1
    return copied
