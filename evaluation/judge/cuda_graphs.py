"""CUDA graphs of training steps: the thousands of kernels of a pass as one launch, so that a card waits for no host.

Never run on a card yet; `tests/evaluation/judge/fake_cuda.py` stands in for one.
"""

import gc
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor, cuda

from evaluation.judge.draws import PassDraws
from evaluation.judge.streams import CAPTURING, Lead, numbered_stream

_WARM_UP_STEPS = 3
# Of what the steps change. A replay ends where they end one by one, but for kernels that might repeat only to rounding.
_OFF = 0.1

Steps = Callable[[PassDraws], Tensor]
# images of a whole batch and of all, and the kinds of augmentation where the graph holds these
_Key = tuple[int, int, tuple[str, ...]]


@dataclass(frozen=True)
class _Captured:
    """One graph with the draws that it reads and the losses that it writes."""

    graph: cuda.CUDAGraph
    draws: PassDraws
    losses: Tensor

    def replay(self, draws: PassDraws) -> Tensor:
        for read, given in zip(self.draws.tensors, draws.tensors, strict=True):
            read.copy_(given)
        self.graph.replay()
        return self.losses


class GraphedSteps:
    """Steps that are captured at their first call for each number of steps and images, then replayed.

    A pass is as many graphs as it takes, equal but for the last, which has the short batch. Between two steps of a
    graph activations are free again, so it takes the memory of one.

    It is captured on the stream that is current then, or on another one than the default stream, which cannot be
    captured: a library's workspace is its stream's, so graphs that run at the same time must be of several.

    The steps are given at each call and not kept: an engine that owns this object is freed, and its graphs with it, as
    soon as nobody uses it. They may change nothing but the tensors `updated`, in place, and wait for nothing on the
    host. `most` of them are in a graph, and twice as many may wait for the card. Where they do not take `any_kind` of
    augmentation from the card's memory, but look at its name, a graph has one step of one kind.
    """

    def __init__(self, updated: Sequence[Tensor], device: torch.device, *, most: int, any_kind: bool) -> None:
        self._updated, self._device, self._any_kind = updated, device, any_kind
        self.steps_at_once = most if any_kind else 1
        self._captured: dict[_Key, _Captured] = {}
        self._capturing = True
        self._lead = Lead(2 * most)
        with cuda.device(device):
            self._pool = cuda.graph_pool_handle()

    def __call__(self, steps: Steps, draws: PassDraws) -> Tensor:
        """The losses (S,) of all steps of `draws`."""
        with cuda.device(self._device):
            losses = [self._graphed(steps, part).clone() for part in draws.parts(self.steps_at_once)]
        return torch.cat(losses)

    def _graphed(self, steps: Steps, draws: PassDraws) -> Tensor:
        captured = self._captured.get(self._key(draws))
        if captured:
            losses_S = captured.replay(draws)
        elif self._capturing:
            with CAPTURING:
                captured = self._first(steps, draws)
            if captured is None:
                return self(steps, draws)
            losses_S = captured.losses
        else:
            losses_S = steps(draws)
        self._lead.lengthen(len(draws))
        return losses_S

    def _key(self, draws: PassDraws) -> _Key:
        images = len(draws.order)
        return min(draws.batch_size, images), images, () if self._any_kind else draws.kinds

    def _first(self, steps: Steps, draws: PassDraws) -> _Captured | None:
        """Capture, and replay once; None where that does not work, and nothing has been done."""
        before = self._values()
        try:
            captured, stepped = self._capture(steps, draws.clone(), before)
            self._restore(before)
            captured.replay(draws)
            if not _distance(self._updated, stepped) <= _OFF * _distance(stepped, before):
                raise RuntimeError("a replay does not end where the steps do")
        except RuntimeError as error:
            self._give_up(error)
            self._restore(before)
            return None
        self._captured[self._key(draws)] = captured
        return captured

    def _give_up(self, error: RuntimeError) -> None:
        """Smaller graphs from then on, or none. Graphs that there are go too: each takes its stream's workspaces along,
        and a card whose memory is short has more of it then."""
        self._captured.clear()
        self._pool = cuda.graph_pool_handle()
        if self.steps_at_once > 1:
            told = f"{self.steps_at_once} of the judge's steps cannot be captured as one CUDA graph: each is one"
            self.steps_at_once = 1
        else:
            told = "the judge's steps cannot be captured as CUDA graphs and run one by one"
            self._capturing = False
        warnings.warn(f"{told} ({error})", stacklevel=2)

    def _values(self) -> list[Tensor]:
        return [tensor.detach().clone() for tensor in self._updated]

    @torch.no_grad()
    def _restore(self, before: Sequence[Tensor]) -> None:
        for tensor, value in zip(self._updated, before, strict=True):
            tensor.copy_(value)

    def _capture(self, steps: Steps, draws: PassDraws, before: Sequence[Tensor]) -> tuple[_Captured, list[Tensor]]:
        """Warm up from `before` on the stream that captures, then record; and what `updated` is after the steps.

        A warm-up is the very steps, since a kernel may be compiled for how its arguments lie in memory.
        """
        current = cuda.current_stream(self._device)
        stream = numbered_stream(self._device, 0) if current == cuda.default_stream(self._device) else current
        losses_S = torch.zeros(len(draws), device=draws.order.device)
        stream.wait_stream(current)
        with cuda.stream(stream):
            for _ in range(-(-_WARM_UP_STEPS // len(draws))):
                self._restore(before)
                steps(draws)
            stepped = self._values()
        current.wait_stream(stream)
        graph = cuda.CUDAGraph()
        # of this thread alone: others may allocate and wait for their streams meanwhile
        mode = "thread_local"
        try:
            with _no_collection(), cuda.graph(graph, pool=self._pool, stream=stream, capture_error_mode=mode):
                losses_S.copy_(steps(draws))
        finally:
            cuda.set_stream(current)  # PyTorch leaves a failed capture on the capture's stream
        return _Captured(graph, draws, losses_S), stepped


def _distance(some: Sequence[Tensor], others: Sequence[Tensor]) -> float:
    """By all values together; what is no number counts as 0."""
    pairs = zip(some, others, strict=True)
    return sqrt(sum(float((a.detach().nan_to_num() - b.nan_to_num()).square().sum()) for a, b in pairs))


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
