"""Streams of a card: one for each round that is trained at the same time. Nothing to do on other devices."""

import gc
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock

import torch
from torch import cuda

# Held while a graph is captured. What rounds in other threads do meanwhile is replays and copies, on streams of their
# own; who waits for the whole card breaks the capture, and is refused, in whatever mode it was begun.
CAPTURING = Lock()


@contextmanager
def on_stream(device: torch.device, number: int) -> Iterator[None]:
    """Compute on the stream of this number: after what the card was given before, and all of it is done at the end."""
    if device.type != "cuda":
        yield
        return
    with cuda.device(device):
        stream = numbered_stream(device, number)
        stream.wait_stream(cuda.default_stream(device))
        with cuda.stream(stream):
            try:
                yield
            finally:
                stream.synchronize()  # so that memory which is freed now is not in use


@cache
def numbered_stream(device: torch.device, number: int) -> cuda.Stream:
    """The same for the whole process: libraries keep a workspace for each stream."""
    return cuda.Stream(device)


class Lead:
    """How far the host is ahead of a card on its current stream, in training steps: `most` of them.

    A card takes seconds of work in advance, for which an interruption would have to wait.
    """

    def __init__(self, most: int) -> None:
        self._most, self._steps = most, 0
        self._given: deque[tuple[cuda.Event, int]] = deque()

    def lengthen(self, steps: int) -> None:
        """By as many as the card has been given; waits until those before are few enough."""
        event = cuda.Event(blocking=True)  # sleeps while it waits: the other rounds need the processor
        event.record()
        self._given.append((event, steps))
        self._steps += steps
        while self._steps > self._most:
            done, made = self._given.popleft()
            done.synchronize()
            self._steps -= made


def synchronise(device: torch.device) -> None:
    """Wait until the card has done all that it was given, on every stream."""
    if device.type == "cuda":
        with CAPTURING:
            cuda.synchronize(device)


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """Convolutions of a card that repeat bit for bit, in IEEE float32. A CPU's do.

    The setting is the process's: what trains in threads has it set around all of them.
    """
    if device.type != "cuda":
        yield
        return
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        yield


def release(device: torch.device) -> None:
    """Give a card's memory back that nobody uses any more; a warning where it does not take it."""
    if device.type != "cuda":
        return
    try:
        with CAPTURING, cuda.device(device):
            gc.collect()
            cuda.empty_cache()
    except RuntimeError as error:
        told = str(error).partition("\n")[0]
        warnings.warn(f"memory of the card is not given back ({told})", stacklevel=2)
