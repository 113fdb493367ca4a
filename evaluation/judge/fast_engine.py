"""The fast engine: the protocol's steps with the same draws, arranged for the hardware.

Trains on CIFAR-100 at IPC 10 with 1,100 images/s on two cores of an AMD EPYC (AVX-512 with bf16): 5.6 times the
reference engine and 80% of the roofline (medians of n = 11 slices, `benchmarks/results/judge-amd-epyc-2-core.json`).
Accuracy differs from the reference by -0.01 to +0.01 points (90% interval, n = 12 pairs of rounds, CIFAR-100, IPC 5, 40
epochs, `equivalence-cifar100-amd-epyc-2-core.json`). Not measured on a GPU. More in `docs/judge-speed.md`.

- Images stay on the device in 8 bits; a step waits for nothing on the host.
- Convolutions in bfloat16 where the hardware is faster in it, channels-last; everything else in float32, weights too.
- On a CPU those in float32 are by Winograd's algorithm (`convolution.py`).
- Instance norm, ReLU and pooling are one operation (`norm_relu_pool.py`). On a card it is a Triton kernel, as is
  making a batch, where these prove themselves (`card_kernels.py`).
- The convolutions' biases are left out: the norm after them removes any constant, so their gradient is zero.
- On a CPU each core takes parts of the batch (`parallel.py`); on CUDA a pass is one graph launch (`cuda_graphs.py`).
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluation.base.processor import multiplies_fast_in_bfloat16
from evaluation.judge.card_kernels import CardKernels, proven_kernels
from evaluation.judge.convnet import DEPTH, WIDTH, seeded_convnet
from evaluation.judge.convolution import convolve
from evaluation.judge.cpp_kernels.winograd import build_winograd
from evaluation.judge.cuda_graphs import GraphedSteps
from evaluation.judge.draws import PassDraws
from evaluation.judge.dsa import KINDS, Draw, augment
from evaluation.judge.engine import DeviceSet, Engine
from evaluation.judge.norm_relu_pool import (
    COMPILE_FROM_STEPS,
    NormReluPool,
    choose_norm_relu_pool,
    plain_norm_relu_pool,
)
from evaluation.judge.parallel import Workers
from evaluation.judge.protocol import Protocol
from evaluation.judge.streams import repeatable

# Of the largest activation of a part of a batch: near to the caches; beyond 32 MiB glibc maps fresh pages each time.
PART_BYTES = 16 * 2**20
_STEPS_AT_32 = 64


class FastEngine(Engine):
    """The protocol in fewer, larger operations; `dtype` of training's convolutions, None to choose for the device."""

    def __init__(
        self,
        train: DeviceSet,
        classes: int,
        protocol: Protocol,
        *,
        expected_steps: int = 0,
        dtype: torch.dtype | None = None,
        workers: Workers | None = None,
    ) -> None:
        super().__init__(train, classes, protocol, expected_steps=expected_steps, workers=workers)
        steps_at_32 = expected_steps * (train.size / 32) ** 2
        self.kernels: CardKernels | None = None
        if train.device.type == "cuda" and steps_at_32 >= COMPILE_FROM_STEPS:
            self.kernels = proven_kernels(train.device, train.size, (torch.bfloat16, torch.float32))
        self.codes = torch.arange(len(KINDS), dtype=torch.int32, device=train.device)
        if self.kernels:
            self.norm_relu_pool = self.kernels.norm_relu_pool
        else:
            self.norm_relu_pool = choose_norm_relu_pool(train.device, steps_at_32)
        if train.device.type == "cpu":
            build_winograd()  # once, here: of several threads each would compile it at its first step
        self.dtype = dtype or self._best_dtype()
        named = seeded_convnet(classes, train.size, seed=0).named_parameters()
        self.weights = {name: _laid_out(weight.detach()).to(train.device).requires_grad_() for name, weight in named}
        self.momentum = {name: torch.zeros_like(weight) for name, weight in self.weights.items()}
        self.lr = torch.zeros((), device=train.device)
        self._trained = [name for name in self.weights if not name.endswith(".0.bias")]  # but for the convolutions'
        # all others' gradient: the fused update wants one of each weight
        self._no_gradient = {name: torch.zeros_like(w) for name, w in self.weights.items() if name not in self._trained}
        self.map = workers.map if workers else map
        self.graphed: GraphedSteps | None = None
        if train.device.type == "cuda":
            self.graphed = GraphedSteps(
                self.updated, train.device, most=steps_of_a_graph(train.size), any_kind=self.kernels is not None
            )

    @property
    def updated(self) -> list[Tensor]:
        """All that a step changes, in place."""
        return [*self.weights.values(), *self.momentum.values()]

    def _best_dtype(self) -> torch.dtype:
        """bfloat16 where the hardware is faster in it; on a CPU only with the fused norm, which it needs to be."""
        if self.train.device.type == "cuda":
            has_hardware = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            has_hardware = self.norm_relu_pool is not plain_norm_relu_pool and multiplies_fast_in_bfloat16()
        return torch.bfloat16 if has_hardware else torch.float32

    @torch.no_grad()
    def start(self, seed: int) -> None:
        for name, weight in seeded_convnet(self.classes, self.train.size, seed).named_parameters():
            self.weights[name].copy_(weight)

    def set_rate(self, lr: float) -> None:
        self.lr.fill_(lr)
        torch._foreach_zero_(list(self.momentum.values()))

    def step(self, index_B: Tensor, drawn: Draw) -> Tensor:
        code = KINDS.index(drawn.kind)
        codes = self.codes[code : code + 1]  # a copy from the host would wait for the card
        return self.steps(PassDraws(index_B, (drawn.kind,), codes, drawn.uniforms, len(index_B)))[0]

    def steps(self, draws: PassDraws) -> Tensor:
        with repeatable(self.train.device):
            return self.graphed(self._steps, draws) if self.graphed else self._steps(draws)

    @property
    def steps_at_once(self) -> int:
        return self.graphed.steps_at_once if self.graphed else 1

    def _steps(self, draws: PassDraws) -> Tensor:
        return torch.stack([self._step(index_B, drawn) for index_B, drawn in draws.batches()])

    def _step(self, index_B: Tensor, drawn: Draw) -> Tensor:
        parts = self._parts(len(index_B), self.dtype)
        uniforms = drawn.uniforms.tensor_split(parts, dim=1)
        draws = [replace(drawn, uniforms=part) for part in uniforms]
        part_gradients = partial(self._part_gradients, len(index_B))
        results = self.map(part_gradients, zip(index_B.tensor_split(parts), draws, strict=True))
        losses, gradients = zip(*results, strict=True)
        total = list(gradients[0])
        for part in gradients[1:]:
            torch._foreach_add_(total, part)
        self._update(total)
        return losses[0] if parts == 1 else torch.stack(losses).sum()

    def _parts(self, images: int, dtype: torch.dtype) -> int:
        """How many parts to split a batch into: one, or as many for each worker, each within PART_BYTES."""
        if self.workers is None:
            return 1
        activation_bytes = images * WIDTH * self.train.size**2 * dtype.itemsize
        turns = -(-activation_bytes // (PART_BYTES * self.workers.count))
        return min(images, turns * self.workers.count)

    def _part_gradients(self, batch: int, part: tuple[Tensor, Draw]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """What a part of a batch of so many images adds to the mean loss, and to its gradients for `_trained`."""
        index_P, drawn = part
        logits_PC = self._forward(self._augmented(index_P, drawn), self.dtype)
        loss = F.cross_entropy(logits_PC, self.train.labels[index_P], reduction="sum") / batch
        return loss.detach(), torch.autograd.grad(loss, [self.weights[name] for name in self._trained])

    def _augmented(self, index_P: Tensor, drawn: Draw) -> Tensor:
        if self.kernels and drawn.code is not None:
            return self.kernels.augmented(self.train, index_P, drawn.uniforms, drawn.code, self.dtype)
        return augment(self.train.normalised(index_P), drawn)

    @torch.no_grad()
    def _update(self, gradients: list[Tensor]) -> None:
        """SGD with weight decay and momentum, all weights in one operation."""
        # which takes weights, gradients and momentum for laid out alike: on a CPU without looking
        by_name = self._no_gradient | dict(zip(self._trained, map(_laid_out, gradients), strict=True))
        torch._fused_sgd_(
            list(self.weights.values()),
            [by_name[name] for name in self.weights],
            list(self.momentum.values()),
            weight_decay=self.protocol.weight_decay,
            momentum=self.protocol.momentum,
            lr=self.lr,
            dampening=0.0,
            nesterov=False,
            maximize=False,
            is_first_step=False,  # the momentum is there and zero
        )

    def _forward(self, x_BCHW: Tensor, dtype: torch.dtype) -> Tensor:
        """Normalised images to logits (B, classes) in float32, with convolutions in `dtype`."""
        features_BF = features(x_BCHW, self.weights, dtype, self.norm_relu_pool)
        return F.linear(features_BF, self.weights["head.weight"], self.weights["head.bias"])

    def logits(self, x_BCHW: Tensor) -> Tensor:
        with repeatable(self.train.device):
            parts = self._parts(len(x_BCHW), torch.float32)
            return torch.cat(list(self.map(self._part_logits, x_BCHW.tensor_split(parts))))

    @torch.no_grad()
    def _part_logits(self, x_PCHW: Tensor) -> Tensor:
        return self._forward(x_PCHW, torch.float32)

    def state(self) -> dict[str, Tensor]:
        weights = {f"weight.{name}": weight.detach() for name, weight in self.weights.items()}
        return weights | {f"momentum.{name}": buffer for name, buffer in self.momentum.items()}

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        own = self.state()
        for name, value in state.items():
            own[name].copy_(value)

    @property
    def deviations(self) -> tuple[str, ...]:
        if self.dtype == torch.float32:
            return ()
        return ("Convolutions of the training steps multiply in bfloat16 and add in float32.",)


def steps_of_a_graph(size: int) -> int:
    """On images of this size: so many that a slow card needs a tenth or two of a second for them.

    An interruption waits for what a card was given, and capturing takes the longer the more steps there are.
    """
    return max(1, _STEPS_AT_32 * 32**2 // max(32, size) ** 2)


def _laid_out(tensor: Tensor) -> Tensor:
    """Dense, convolutions' kernels channels-last, as they are used, so that no step turns them round."""
    return tensor.contiguous(memory_format=torch.channels_last if tensor.ndim == 4 else torch.contiguous_format)


def features(x_BCHW: Tensor, weights: Mapping[str, Tensor], dtype: torch.dtype, norm_relu_pool: NormReluPool) -> Tensor:
    """The input of the last layer of the judge's network for normalised images: float32 (B, 128 H W / 64).

    `weights` by their names in `ConvNet`; `dtype` of the convolutions.
    """
    x = x_BCHW.to(dtype, memory_format=torch.channels_last)
    for depth in range(DEPTH):
        kernel, gamma, beta = (weights[f"blocks.{depth}.{name}"] for name in ("0.weight", "1.weight", "1.bias"))
        y = convolve(x, kernel.to(dtype, memory_format=torch.channels_last))
        x = norm_relu_pool(y, gamma, beta)
    return x.float().flatten(1)
