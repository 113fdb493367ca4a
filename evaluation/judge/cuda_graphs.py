"""CUDA graphs of a training step: its dozens of kernels as one launch, so that the GPU never waits for the host."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from evaluation.judge.dsa import Draw

_WARM_UP_STEPS = 3

Step = Callable[[Tensor, Draw], Tensor]


@dataclass(frozen=True)
class _Captured:
    """One graph with the tensors that it reads and writes."""

    graph: torch.cuda.CUDAGraph
    index: Tensor
    uniforms: Tensor


class GraphedStep:
    """A step that is captured at its first call for each kind of augmentation and batch size, then replayed.

    `step` may change nothing but the tensors `updated`, in place, and wait for nothing on the host.
    """

    def __init__(self, step: Step, updated: list[Tensor]) -> None:
        self._step, self._updated = step, updated
        self._captured: dict[tuple[str, int], _Captured] = {}
        self._pool = torch.cuda.graph_pool_handle()
        self._loss = torch.zeros((), device=updated[0].device)
        self._capturing = True

    def __call__(self, index_B: Tensor, drawn: Draw) -> Tensor:
        key = (drawn.kind, len(index_B))
        if self._capturing and key not in self._captured:
            self._try_capture(key, index_B, drawn)
        if not self._capturing:
            return self._step(index_B, drawn)
        captured = self._captured[key]
        captured.index.copy_(index_B)
        captured.uniforms.copy_(drawn.uniforms)
        captured.graph.replay()
        return self._loss

    def _try_capture(self, key: tuple[str, int], index_B: Tensor, drawn: Draw) -> None:
        before = [tensor.detach().clone() for tensor in self._updated]
        try:
            self._captured[key] = self._capture(index_B.clone(), Draw(drawn.kind, drawn.uniforms.clone()))
        except RuntimeError as error:
            self._capturing = False
            told = f"the judge's steps cannot be captured as CUDA graphs and run one by one ({error})"
            warnings.warn(told, stacklevel=2)
        with torch.no_grad():
            for tensor, value in zip(self._updated, before, strict=True):
                tensor.copy_(value)

    def _capture(self, index_B: Tensor, drawn: Draw) -> _Captured:
        """Warm up on a separate stream, as capturing requires, then record. The caller undoes the warm-up's steps."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP_STEPS):
                self._step(index_B, drawn)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            self._loss.copy_(self._step(index_B, drawn))
        return _Captured(graph, index_B, drawn.uniforms)
