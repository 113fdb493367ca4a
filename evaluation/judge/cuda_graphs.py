"""CUDA graphs of a training step: its dozens of kernels as one launch, so that the GPU never waits for the host.

Never run on a card yet; `tests/evaluation/judge/fake_cuda.py` stands in for one.
"""

import gc
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, cuda

from evaluation.judge.dsa import Draw
from evaluation.judge.streams import CAPTURING, numbered_stream

_WARM_UP_STEPS = 3

Step = Callable[[Tensor, Draw], Tensor]


@dataclass(frozen=True)
class _Captured:
    """One graph with the tensors that it reads."""

    graph: cuda.CUDAGraph
    index: Tensor
    drawn: Draw

    def replay(self, index_B: Tensor, drawn: Draw) -> None:
        self.index.copy_(index_B)
        self.drawn.uniforms.copy_(drawn.uniforms)
        if self.drawn.code is not None and drawn.code is not None:
            self.drawn.code.copy_(drawn.code)
        self.graph.replay()


class GraphedStep:
    """A step that is captured at its first call for each kind of augmentation and batch size, then replayed.

    Where a draw has its kind in the card's memory too, a step is taken to read it there: one graph serves all kinds.

    It is captured on the stream that is current then, or on another one than the default stream, which cannot be
    captured: a library's workspace is its stream's, so graphs that run at the same time must be of several.

    The step is given at each call and not kept: an engine that owns this object is freed, and its graphs with it, as
    soon as nobody uses it. It may change nothing but the tensors `updated`, in place, and wait for nothing on the host.
    """

    def __init__(self, updated: Sequence[Tensor], device: torch.device) -> None:
        self._updated, self._device = updated, device
        self._captured: dict[tuple[str | None, int], _Captured] = {}
        self._loss = torch.zeros((), device=updated[0].device)
        self._capturing = True
        with cuda.device(device):
            self._pool = cuda.graph_pool_handle()

    def __call__(self, step: Step, index_B: Tensor, drawn: Draw) -> Tensor:
        """The loss, 0-dim, of one step; it is overwritten by the next."""
        with cuda.device(self._device):
            captured = self._captured.get(_key(index_B, drawn))
            if captured is None and self._capturing:
                with CAPTURING:
                    return self._first(step, index_B, drawn)
            if captured is None:
                return step(index_B, drawn)
            captured.replay(index_B, drawn)
            return self._loss

    def _first(self, step: Step, index_B: Tensor, drawn: Draw) -> Tensor:
        """Capture, and replay once; step without a graph, now and from then on, where that does not work."""
        before = [tensor.detach().clone() for tensor in self._updated]
        try:
            code = None if drawn.code is None else drawn.code.clone()
            captured = self._capture(step, index_B.clone(), Draw(drawn.kind, drawn.uniforms.clone(), code))
            self._restore(before)
            captured.replay(index_B, drawn)
            if all(torch.equal(tensor, value) for tensor, value in zip(self._updated, before, strict=True)):
                raise RuntimeError("a replay changed no weight")
        except RuntimeError as error:
            self._capturing = False
            told = f"the judge's steps cannot be captured as CUDA graphs and run one by one ({error})"
            warnings.warn(told, stacklevel=3)
            self._restore(before)
            return step(index_B, drawn)
        self._captured[_key(index_B, drawn)] = captured
        return self._loss

    @torch.no_grad()
    def _restore(self, before: Sequence[Tensor]) -> None:
        for tensor, value in zip(self._updated, before, strict=True):
            tensor.copy_(value)

    def _capture(self, step: Step, index_B: Tensor, drawn: Draw) -> _Captured:
        """Warm up on the stream that captures, then record. The caller undoes the warm-up's steps."""
        current = cuda.current_stream(self._device)
        stream = numbered_stream(self._device, 0) if current == cuda.default_stream(self._device) else current
        stream.wait_stream(current)
        with cuda.stream(stream):
            for _ in range(_WARM_UP_STEPS):
                step(index_B, drawn)
        current.wait_stream(stream)
        graph = cuda.CUDAGraph()
        # of this thread alone: others may allocate and wait meanwhile
        mode = "thread_local"
        try:
            with _no_collection(), cuda.graph(graph, pool=self._pool, stream=stream, capture_error_mode=mode):
                self._loss.copy_(step(index_B, drawn))
        finally:
            cuda.set_stream(current)  # PyTorch leaves a failed capture on the capture's stream
        return _Captured(graph, index_B, drawn)


def _key(index_B: Tensor, drawn: Draw) -> tuple[str | None, int]:
    return drawn.kind if drawn.code is None else None, len(index_B)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Garbage that holds a graph or memory of the card is freed before, since freeing it breaks a capture."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
