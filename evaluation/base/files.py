"""Files that are whole or not there."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from evaluation.base.container import permission_advice


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A path to write to that becomes `path` when the block ends well and is removed when it does not.

    What is written may be a file or a folder; a folder takes the place of an older one. The parent folder is made.
    Until the end the name ends in `.part`, which no reader here takes for data. A device or a pipe is written itself.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        yield path
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        if part.is_dir() and path.is_dir():
            shutil.rmtree(path)
        part.replace(path)
    finally:
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """`text` as the file `path` in UTF-8, whole or not at all."""
    with written_whole(path) as part:
        part.write_text(text, encoding="utf-8")


@contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Inside, the folder belongs to this process: yields False where another has it. A process that dies lets go.

    Where the file system knows no locks, everybody may have it.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except OSError as error:
            free = not isinstance(error, BlockingIOError)
        yield free
    finally:
        os.close(descriptor)


def read_text(path: Path) -> str:
    """A text file that a person wrote, on any system: UTF-8 with or without a byte order mark, lines ended by `\\n`.

    Raises ValueError, with the path and what to do, where it cannot be read or is in another encoding.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:  # UTF-16 without its mark is full of them
        raise ValueError(f"{path} is no text in UTF-8; save it as UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_lines(path: Path) -> list[str]:
    """The lines of `read_text` without spaces around them, up to the last that is not empty."""
    text = read_text(path).rstrip()
    return [line.strip() for line in text.split("\n")] if text else []


def check_writable(path: Path) -> None:
    """Make and try the folder of `path` before long work. Raises ValueError if it cannot be written."""
    if why := why_not_writable(path):
        raise ValueError(f"{path} cannot be written ({why}); {permission_advice(path) or 'name another file'}")


def checkpoint_if_writable(path: Path, say: Callable[[str], None]) -> Path | None:
    """`path` for checkpoints that nobody asked for; None, and said why, where they cannot be written."""
    if why := why_not_writable(path):
        say(f"{path} cannot be written ({why}); an interruption starts the judgement over.")
        return None
    return path


def why_not_writable(path: Path) -> str | None:
    """Make and try the folder of `path`: None where the file can be written there, else why not."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
        if path.is_dir():
            return "it is a folder"
    except OSError as error:
        return error.strerror or str(error)
    return None
