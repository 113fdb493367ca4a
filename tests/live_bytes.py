"""The most memory that a computation on `meta` tensors would have in use at once on a card."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.device_traffic import CARD, IN_PLACE


class LiveBytes(TorchDispatchMode):
    """`peak`: bytes of the tensors on the card that are alive together, of those that are seen within."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self._bytes = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = None if function in IN_PLACE else function(*args, **(kwargs or {}))
        for tensor in tree_leaves((args, kwargs, result)):
            if isinstance(tensor, Tensor) and tensor.device == CARD:
                self._see(tensor)
        if self._bytes > self.peak:  # counts what has gone since: look again
            self._alive = {key: (ref, size) for key, (ref, size) in self._alive.items() if not ref.expired()}
            self._bytes = sum(size for _, size in self._alive.values())
            self.peak = max(self.peak, self._bytes)
        return result

    def _see(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        reference = StorageWeakRef(storage)
        if reference.cdata not in self._alive:
            self._alive[reference.cdata] = reference, storage.nbytes()
            self._bytes += storage.nbytes()
