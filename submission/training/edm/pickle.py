"""The published network files of EDM, read as data: they are pickles that carry source code, and none of it runs.

A file holds class name, source and state of each module, as `persistence` writes them; only the state is kept. Every
name that the file may use is answered by a stand-in of our own, any other is refused; memory is in proportion to it.
"""

from __future__ import annotations

import io
import math
import mmap
import pickle
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol
from zipfile import is_zipfile

import numpy as np

# torch's legacy form of a storage: five pickles, of which these are the first two, then the numbers
_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_DEEPEST, _MOST_MODULES = 20, 10_000
_NUMBER_TYPES = {"b1", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"}

# what a pickle may call a name -> our stand-in for it
_Names = Mapping[tuple[str, str], Any]


@dataclass(frozen=True)
class StoredTensor:
    """A tensor or storage as an array that shares the file's bytes and cannot be written."""

    array: np.ndarray[Any, Any]


class StoredModule:
    """A module without its code: the name of its class, empty for a container of torch's, and its attributes."""

    def __init__(self, class_name: str = "", state: dict[str, Any] | None = None) -> None:
        self.class_name = class_name
        self.state = state or {}

    def __setstate__(self, state: Any) -> None:
        self.state = _checked(state, dict, "a module without its attributes")

    def tensors(self) -> dict[str, np.ndarray[Any, Any]]:
        """Parameters and buffers by their names in a state dict. Raises ValueError for modules nested without end."""
        found: dict[str, np.ndarray[Any, Any]] = {}
        waiting, visited = [("", 0, self)], 0
        while waiting:
            prefix, depth, module = waiting.pop()
            visited += 1
            inner = module.attribute("_modules")
            if depth > _DEEPEST or visited + len(inner) > _MOST_MODULES:
                raise ValueError("its modules are not those of a network")
            for name, tensor in (module.attribute("_parameters") | module.attribute("_buffers")).items():
                if isinstance(tensor, StoredTensor):
                    found[f"{prefix}{name}"] = tensor.array
            for name, child in inner.items():
                if isinstance(child, StoredModule):
                    waiting.append((f"{prefix}{name}.", depth + 1, child))
        return found

    def attribute(self, name: str) -> dict[str, Any]:
        """A dictionary among the attributes; empty where there is none of the name."""
        value = self.state.get(name)
        return value if isinstance(value, dict) else {}


def read_edm_pickle(path: Path, network: str = "ema") -> StoredModule:
    """Network `network` of a published `.pkl`; nothing of it runs.

    Raises ValueError if there is no such file or network, or it is damaged or holds anything but networks.
    """
    if not path.is_file() or not path.stat().st_size:
        raise ValueError(f"there is no file {path}, or nothing in it; give a published .pkl")
    if is_zipfile(path):
        raise ValueError(f"{path} is an archive and no pickle; give a .pkl as published in the EDM format")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        content = _read(_Unpickler(mapped, _NAMES), path)
    found = content.get(network) if isinstance(content, dict) else None
    if not isinstance(found, StoredModule):
        raise ValueError(f"{path} holds no network {network!r}; give a .pkl as published in the EDM format")
    return found


def _read(unpickler: _Unpickler, path: Path) -> Any:
    """What `unpickler` reads. Raises ValueError where it is damaged or anything but networks; nothing of it has run."""
    try:
        return unpickler.load()
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path} holds {error}, which a network of EDM never does; it was not loaded") from None
    except (
        EOFError, IndexError, KeyError, TypeError, ValueError, AttributeError, AssertionError, UnicodeDecodeError,
        MemoryError, OverflowError, RecursionError, struct.error,
    ):  # fmt: skip
        raise ValueError(f"{path} is not a whole pickle; fetch it again") from None


class _Readable(Protocol):
    """What a pickle is read from: a BytesIO or a memory map, which give no more than they hold, whatever is asked."""

    def read(self, size: int, /) -> bytes: ...

    def readline(self) -> bytes: ...


class _Unpickler(pickle._Unpickler):  # the Python one: its memo cannot be made to reserve memory by an index
    """Knows `names` and nothing else, so that nothing can be called but our own stand-ins."""

    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)
    stack: list[Any]

    def __init__(self, file: _Readable, names: _Names) -> None:
        super().__init__(file)
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


def _checked(value: Any, kind: type, otherwise: str) -> Any:
    if not isinstance(value, kind):
        raise pickle.UnpicklingError(otherwise)
    return value


def _persistent_module(meta: Any) -> StoredModule:
    """Stands in for the function that would run the source in `meta`."""
    description = _checked(meta, dict, "a module without a description")
    state = _checked(description.get("state"), dict, "a module without its attributes")
    return StoredModule(_checked(description.get("class_name"), str, "a module without a name"), state)


class _PlainDtype:
    """Stands in for `numpy.dtype`: a plain number type and its byte order, nothing nested."""

    __slots__ = ("code", "order")

    def __init__(self, code: Any, *_: Any) -> None:
        if isinstance(code, bytes):
            code = code.decode("latin1")
        if code not in _NUMBER_TYPES:
            raise pickle.UnpicklingError(f"an array of type {str(code)[:20]!r}")
        self.code, self.order = code, "|"

    def __setstate__(self, state: Any) -> None:
        order = state[1].decode("latin1") if isinstance(state[1], bytes) else state[1]
        if order not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError("an array of unknown byte order")
        self.order = order

    def numpy(self) -> np.dtype[Any]:
        return np.dtype(self.order + self.code)


class _EmptyDict:
    """Stands in for dictionaries, which a file makes empty and fills then."""

    def __new__(cls, *given: Any) -> Any:
        if given:  # a copy of another, and a short file could ask for many
            raise pickle.UnpicklingError("a copy of a dictionary")
        return {}


def _no_set(*_: Any) -> None:
    """Sets say nothing that is of use here."""


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> StoredTensor:
    flat = _checked(storage, StoredTensor, "a tensor without a storage").array
    if not all(isinstance(n, int) and n >= 0 for n in (offset, *size, *stride)) or len(size) != len(stride):
        raise pickle.UnpicklingError("a tensor with an impossible shape")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if math.prod(size) > flat.size or (math.prod(size) and last >= flat.size):
        raise pickle.UnpicklingError("a tensor that reaches beyond its storage")
    steps = [step * flat.itemsize for step in stride]
    return StoredTensor(np.lib.stride_tricks.as_strided(flat[offset:], tuple(size), steps, writeable=False))


def _parameter(data: Any, *_: Any) -> StoredTensor:
    return _checked(data, StoredTensor, "a parameter without a tensor")


def _scalar(kind: Any, data: Any) -> Any:
    """Stands in for numpy's `scalar`; gives a number of Python's."""
    dtype = _checked(kind, _PlainDtype, "a number of an unknown type").numpy()
    return np.frombuffer(_checked(data, bytes, "a number without its bytes"), dtype, 1)[0].item()


def _storage(data: Any) -> StoredTensor:
    """Stands in for torch's `_load_from_bytes`, which would unpickle `data` without any restriction."""
    file = io.BytesIO(_checked(data, bytes, "a storage without its bytes"))
    magic, version, system, declared, keys = (_StorageUnpickler(file, _STORAGES).load() for _ in range(5))
    if (magic, version) != (_MAGIC, _VERSION) or not system["little_endian"] or keys != [declared.key]:
        raise pickle.UnpicklingError("a storage of an unknown form")
    count = int.from_bytes(file.read(8), "little")
    if count != declared.count:
        raise pickle.UnpicklingError("a storage that is not as long as it says")
    return StoredTensor(np.frombuffer(data, declared.code, count, file.tell()))


@dataclass(frozen=True)
class _DeclaredStorage:
    key: str
    code: str
    count: int


class _StorageUnpickler(_Unpickler):
    def persistent_load(self, pid: Any) -> _DeclaredStorage:
        kind, code, key, _device, count, view = pid
        if kind != "storage" or code not in _STORAGES.values() or view is not None:
            raise pickle.UnpicklingError("a storage of an unknown form")
        return _DeclaredStorage(key, code, count)


_STORAGES: _Names = {
    ("torch", "FloatStorage"): "<f4",
    ("torch", "HalfStorage"): "<f2",
    ("torch", "DoubleStorage"): "<f8",
    ("torch", "LongStorage"): "<i8",
    ("torch", "IntStorage"): "<i4",
}

_NAMES: _Names = {
    ("numpy", "dtype"): _PlainDtype,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): _persistent_module,
    ("torch.nn.modules.container", "ModuleDict"): StoredModule,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch.storage", "_load_from_bytes"): _storage,
    ("collections", "OrderedDict"): _EmptyDict,
    ("dnnlib.util", "EasyDict"): _EmptyDict,
    ("builtins", "set"): _no_set,
}
