"""Interruptions: Ctrl-C, SIGTERM and SIGHUP end a command in one way, and where it matters only at a safe moment.

Standard library only: a command takes hold of its signals before it imports anything heavy.
"""

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
EXIT_CODE = 130
# One that follows another this soon is the same one: a terminal and a supervisor both send it, and people press twice.
# After that it interrupts the tidying up.
SAME_WITHIN_S = 5.0

_last_raised = float("-inf")


class Interruption:
    """Whether an interruption has come. Its descriptor is readable once one has."""

    def __init__(self) -> None:
        self._came, self._on_signal = os.pipe()
        os.set_blocking(self._on_signal, False)

    def fileno(self) -> int:
        return self._came

    def is_set(self) -> bool:
        events = select.poll()  # select() takes no descriptor above 1023
        events.register(self._came, select.POLLIN)
        return bool(events.poll(0))

    def _note(self, number: int, frame: FrameType | None) -> None:
        with suppress(BlockingIOError):
            os.write(self._on_signal, b"!")

    def _close(self) -> None:
        os.close(self._came)
        os.close(self._on_signal)


# what the outermost block that holds interruptions back notes them in
_holding: Interruption | None = None


@contextmanager
def interruptible() -> Iterator[None]:
    """Inside, SIGTERM and SIGHUP raise KeyboardInterrupt in the main thread as Ctrl-C does.

    Those that are ignored stay so, as SIGHUP under nohup.
    """
    with _handlers(_raise):
        yield


@contextmanager
def held_back(raises: bool = True) -> Iterator[Interruption]:
    """Inside, an interruption raises nothing: it is noted, for the block to look at where it can end well.

    Blocks may be nested and share what they note. Outside the main thread, which alone hears signals, nothing comes.

    Args:
        raises: whether KeyboardInterrupt is raised at the end of the block if one has come.
    """
    global _holding
    if _holding or threading.current_thread() is not threading.main_thread():
        interruption = _holding or Interruption()
        try:
            yield interruption
        finally:
            if interruption is not _holding:
                interruption._close()
        return
    _holding = interruption = Interruption()
    try:
        with _handlers(interruption._note):
            yield interruption
    finally:
        _holding = None
        came = interruption.is_set()
        interruption._close()
    if came and raises:
        _note_raised()
        raise KeyboardInterrupt


@contextmanager
def as_a_command() -> Iterator[None]:
    """All of a command's life, imports included: an interruption is one word and exit code 130."""
    try:
        with interruptible():
            yield
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(EXIT_CODE)


def _raise(number: int, frame: FrameType | None) -> None:
    if time.monotonic() - _last_raised > SAME_WITHIN_S:
        _note_raised()
        raise KeyboardInterrupt


def _note_raised() -> None:
    global _last_raised
    _last_raised = time.monotonic()


@contextmanager
def _handlers(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {}
    if threading.current_thread() is threading.main_thread():  # no other thread may set one
        ours = [number for number in INTERRUPTIONS if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, handler) for number in ours}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
