"""A stand-in for `torch.cuda` with two cards, whose graphs record what is computed and compute it again at a replay.

It keeps the laws of the real one that matter here: a graph records what the card of its stream computes, nothing of
another card, and not on the default stream; it reads and writes the same memory at every replay, and a number of the
host's stays as it was; a failed capture leaves its stream current; no thread may wait for a whole card meanwhile; which
card and streams are current is each thread's own. Tensors stay on the CPU; `owner` says on which card they are.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class FakeCuda:
    """`owner`: index of the card that all tensors are on; `breaks`: so many captures fail at their end."""

    def __init__(self, owner: int = 0, breaks: int = 0) -> None:
        self.owner, self.breaks = owner, breaks
        self._default = {card: Stream(card) for card in (0, 1)}
        self._of_thread = threading.local()
        self.captures: list[Stream] = []
        self.capturing = False
        self.synchronised: list[int] = []
        self.pools = 0
        self._left_by_failures: set[int] = set()
        self.emptied: list[int] = []
        self.CUDAGraph = Graph
        self.waiting = self.most_waiting = 0

    @property
    def card(self) -> int:
        return getattr(self._of_thread, "card", 0)

    @card.setter
    def card(self, card: int) -> None:
        self._of_thread.card = card

    @property
    def stream_of_card(self) -> dict[int, Stream]:
        if not hasattr(self._of_thread, "streams"):
            self._of_thread.streams = dict(self._default)
        streams: dict[int, Stream] = self._of_thread.streams
        return streams

    @contextmanager
    def device(self, device: torch.device) -> Iterator[None]:
        before, self.card = self.card, self._index(device)
        try:
            yield
        finally:
            self.card = before

    def Stream(self, device: torch.device | None = None) -> Stream:  # noqa: N802 - as the real one
        return Stream(self._index(device))

    def graph_pool_handle(self) -> int:
        self.pools += 1
        return self.pools

    def default_stream(self, device: torch.device | None = None) -> Stream:
        return self._default[self._index(device)]

    def current_stream(self, device: torch.device | None = None) -> Stream:
        return self.stream_of_card[self._index(device)]

    def set_stream(self, stream: Stream) -> None:
        self.stream_of_card[stream.card] = stream
        self.card = stream.card

    @contextmanager
    def stream(self, stream: Stream) -> Iterator[None]:
        before, card = self.stream_of_card[stream.card], self.card
        self.set_stream(stream)
        try:
            yield
        finally:
            self.set_stream(before)
            self.card = card

    @contextmanager
    def graph(
        self, graph: Graph, pool: int, stream: Stream | None = None, capture_error_mode: str = "global"
    ) -> Iterator[None]:
        assert not gc.isenabled(), "what the collector frees breaks a capture"
        stream = stream or Stream(0)  # as the real one: made on the first card that anything captured on
        assert pool not in self._left_by_failures, "already recording to mempool_id"
        assert stream not in self._default.values(), "the default stream cannot be captured"
        assert capture_error_mode == "thread_local", "what other threads do would break the capture"
        self.captures.append(stream)
        before, card = self.stream_of_card[stream.card], self.card
        self.set_stream(stream)
        self.capturing = True
        try:
            with Recorder(graph) if stream.card == self.owner else _nothing():
                yield
        finally:
            self.capturing = False
        if self.breaks:
            self.breaks -= 1
            self._left_by_failures.add(pool)
            raise RuntimeError("operation failed due to a previous error during capture")
        self.set_stream(before)
        self.card = card

    def Event(self, blocking: bool = False) -> Event:  # noqa: N802 - as the real one
        return Event(self)

    def synchronize(self, device: torch.device | None = None) -> None:
        assert not self.capturing, "operation not permitted when stream is capturing"
        self.synchronised.append(self._index(device))

    def empty_cache(self) -> None:
        assert not self.capturing, "the allocator waits for all streams"
        self.emptied.append(self.card)

    def _index(self, device: torch.device | None) -> int:
        return self.card if device is None or device.index is None else device.index


class Stream:
    def __init__(self, card: int) -> None:
        self.card = card
        self.waited_for: list[Stream] = []
        self.finished = 0

    def wait_stream(self, other: Stream) -> None:
        assert other.card == self.card
        self.waited_for.append(other)

    def synchronize(self) -> None:
        self.finished += 1


class Event:
    """Marks what a card was given until then; `FakeCuda.waiting` are those that nobody has waited for."""

    def __init__(self, fake: FakeCuda) -> None:
        self.fake = fake

    def record(self) -> None:
        self.fake.waiting += 1
        self.fake.most_waiting = max(self.fake.most_waiting, self.fake.waiting)

    def synchronize(self) -> None:
        self.fake.waiting -= 1


class Graph:
    def __init__(self) -> None:
        self.calls: list[tuple[Callable[..., Any], Any, Any, Any]] = []

    def replay(self) -> None:
        with torch.no_grad():
            for function, arguments, named, result in self.calls:
                again = function(*arguments, **named)
                for kept, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                    if isinstance(kept, Tensor) and kept.data_ptr() != new.data_ptr():
                        kept.copy_(new)


class Recorder(TorchDispatchMode):
    """Keeps every operation with the tensors that it read and gave."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert function is not torch.ops.aten._local_scalar_dense.default, "a capture cannot wait for the host"
        result = function(*args, **(kwargs or {}))
        self.graph.calls.append((function, args, kwargs or {}, result))
        return result


@contextmanager
def _nothing() -> Iterator[None]:
    yield
