"""A pickle reader for plain data: numbers, strings, lists, dicts and numpy arrays. No code in the file can run.

The official CIFAR-100 files are pickles written by Python 2. The three names that a numpy array needs are answered with
stand-ins of our own that check what they are given before numpy sees it; every other name is refused.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import numpy as np

_KINDS = {"b1", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"}


class PlainDtype:
    """Stands in for `numpy.dtype`: a plain number type and its byte order, nothing nested."""

    __slots__ = ("code", "order")

    def __init__(self, code: Any, *_: Any) -> None:
        if isinstance(code, bytes):
            code = code.decode("latin1")
        if code not in _KINDS:
            raise pickle.UnpicklingError(f"an array of type {str(code)[:20]!r}")
        self.code, self.order = code, "|"

    def __setstate__(self, state: Any) -> None:
        order = state[1].decode("latin1") if isinstance(state[1], bytes) else state[1]
        if order not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError("an array of unknown byte order")
        self.order = order

    def numpy(self) -> np.dtype[Any]:
        return np.dtype(self.order + self.code)


class _Array(np.ndarray[Any, Any]):
    """Stands in for `numpy.ndarray`: fills itself from a checked state."""

    def __setstate__(self, state: Any) -> None:
        _version, shape, dtype, fortran, data = state
        if not isinstance(dtype, PlainDtype) or not isinstance(data, bytes):
            raise pickle.UnpicklingError("an array without plain numbers")
        kind = dtype.numpy()
        count = 1
        for extent in shape:
            if not isinstance(extent, int) or extent < 0:
                raise pickle.UnpicklingError("an array with an impossible shape")
            count *= extent
        if count * kind.itemsize != len(data):
            raise pickle.UnpicklingError("an array whose data does not fill its shape")
        super().__setstate__((1, tuple(shape), kind, fortran, data))


class _Reconstruct:
    """Stands in for numpy's `_reconstruct`: always an empty array of ours, whatever it is asked for."""

    def __new__(cls, *_: Any) -> Any:
        return _Array((0,), np.uint8)


# what a pickle may call a name -> our stand-in for it
Names = Mapping[tuple[str, str], Any]

NUMPY_NAMES: Names = {
    ("numpy", "dtype"): PlainDtype,
    ("numpy", "ndarray"): _Array,
    ("numpy.core.multiarray", "_reconstruct"): _Reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _Reconstruct,
}


class Readable(Protocol):
    """What a pickle is read from: a BytesIO or a memory map, which give no more than they hold, whatever is asked."""

    def read(self, size: int, /) -> bytes: ...

    def readline(self) -> bytes: ...


class RestrictedUnpickler(pickle._Unpickler):  # the Python one: its memo cannot be made to reserve memory by an index
    """Knows `names` and nothing else, so that nothing can be called but our own stand-ins."""

    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)
    stack: list[Any]

    def __init__(self, file: Readable, names: Names, encoding: str = "ASCII") -> None:
        super().__init__(file, encoding=encoding)
        self.names = names

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self.names[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"the name {f'{module}.{name}'[:80]!r}") from None

    def load_build(self) -> None:
        """State goes to what has a way to take it; no attribute is set on anything, our own functions included."""
        state = self.stack.pop()
        built = self.stack[-1]
        if isinstance(built, type) or not hasattr(built, "__setstate__"):
            raise pickle.UnpicklingError(f"a state for a {type(built).__name__}")
        built.__setstate__(state)

    dispatch[pickle.BUILD[0]] = load_build

    def load_bytearray8(self) -> None:
        """Would reserve as much memory as it claims to need, before reading it."""
        raise pickle.UnpicklingError("a byte array")

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8


def read_restricted(unpickler: RestrictedUnpickler, origin: str, what: str) -> Any:
    """The object that `unpickler` reads.

    Args:
        origin: what the file is called in error sentences.
        what: what it should be, in the same sentences, as "plain data".

    Raises:
        ValueError: it holds anything else or is damaged; nothing of it has run.
    """
    try:
        return unpickler.load()
    except pickle.UnpicklingError as error:
        raise ValueError(f"{origin} holds {error}, which {what} never does; it was not loaded") from None
    except (
        EOFError, IndexError, KeyError, TypeError, ValueError, AttributeError, AssertionError, UnicodeDecodeError,
        MemoryError, OverflowError, RecursionError, struct.error,
    ):  # fmt: skip
        raise ValueError(f"{origin} is not a whole pickle; fetch it again") from None


def loads_plain(data: bytes, origin: str) -> Any:
    """Read a pickle that holds plain data and nothing else.

    Args:
        data: the whole pickle; strings of Python 2 come out as bytes, dict keys included.
        origin: what the file is called in error sentences.

    Returns:
        The object; arrays are numpy arrays that own their data.

    Raises:
        ValueError: it holds anything else or is damaged; nothing of it has run.
    """
    return read_restricted(RestrictedUnpickler(io.BytesIO(data), NUMPY_NAMES, "bytes"), origin, "plain data")
