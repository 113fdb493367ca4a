"""Standard output and error that outlast their reader, and a terminal's size that makes no sense.

Standard library only: a command calls it before it imports anything heavy.
"""

import errno
import os
import sys
from typing import Any, TextIO

_READER_GONE = (errno.EPIPE, errno.EIO, errno.ECONNRESET)  # a pipe, a terminal, a socket


def outlast_terminal() -> None:
    """From now on what cannot be shown ends nothing: a reader that goes away (`| head`), a full disk, a closed stream.

    A width or height of 0 in the environment, as some terminals and CI systems set them, is taken for unknown.
    """
    for name in ("COLUMNS", "LINES"):
        if not os.environ.get(name, "1").strip("0"):
            del os.environ[name]
    sys.stdout = _lasting(sys.stdout)
    sys.stderr = _lasting(sys.stderr)


def _lasting(stream: TextIO | None) -> Any:
    return LastingStream(stream or open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123 - closed by `>&-`


class LastingStream:
    """A text stream that goes silent, for child processes as well, where it cannot be written any more."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._go_silent(error)
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._go_silent(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _go_silent(self, error: OSError) -> None:
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, self._stream.fileno())  # what waits in the buffer goes there, and all that follows
        os.close(silent)
        if error.errno not in _READER_GONE and self is sys.stdout:
            print(f"The output cannot be written ({error.strerror}); the rest of it is lost.", file=sys.stderr)
