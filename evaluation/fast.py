"""The fast engine: the protocol's steps with the same draws, arranged for the hardware.

- Images stay on the device as they came; a step waits for nothing on the host.
- Convolutions in bfloat16 where the hardware has it, channels-last; the rest in float32, weights too.
- Instance norm, ReLU and pooling are one operation (`fused.py`).
- The convolutions' biases take no part: the norm after them takes any constant off again, so their gradient is zero.
- On a CPU a batch goes through in parts that fit the cache; on CUDA a step is one graph launch (`graphs.py`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluation.augment import Draw, augment
from evaluation.convnet import DEPTH, WIDTH, seeded_convnet
from evaluation.engine import Engine
from evaluation.fused import choose_norm_relu_pool, plain_norm_relu_pool
from evaluation.graphs import GraphedStep
from evaluation.protocol import Protocol
from evaluation.resident import Resident

# Of the largest activation of a part of a batch. Beyond 32 MiB glibc takes fresh pages from the kernel at each step.
PART_BYTES = 16 * 2**20


class FastEngine(Engine):
    """The protocol in fewer, larger operations.

    Args:
        expected_steps: SGD steps of the whole judgement, to decide whether compiling pays.
        dtype: of the convolutions of training; None to choose for the device.
    """

    def __init__(
        self,
        train: Resident,
        classes: int,
        protocol: Protocol,
        *,
        expected_steps: int = 0,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(train)
        self.classes, self.protocol = classes, protocol
        self.norm_relu_pool = choose_norm_relu_pool(train.device, expected_steps * (train.size / 32) ** 2)
        self.dtype = dtype or self._best_dtype()
        named = seeded_convnet(classes, train.size, seed=0).named_parameters()
        self.weights = {name: weight.detach().to(train.device).requires_grad_() for name, weight in named}
        self.momentum = {name: torch.zeros_like(weight) for name, weight in self.weights.items()}
        self.lr = torch.zeros((), device=train.device)
        self._run = self._step
        if train.device.type == "cuda":
            self._run = GraphedStep(self._step, [*self.weights.values(), *self.momentum.values()])

    def _best_dtype(self) -> torch.dtype:
        """bfloat16 with hardware for it, but not where an unfused norm would lose on a CPU what it gains."""
        if self.train.device.type == "cuda":
            has_hardware = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            has_hardware = self.norm_relu_pool is not plain_norm_relu_pool and (
                torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
            )
        return torch.bfloat16 if has_hardware else torch.float32

    @torch.no_grad()
    def start(self, seed: int) -> None:
        for name, weight in seeded_convnet(self.classes, self.train.size, seed).named_parameters():
            self.weights[name].copy_(weight)

    def set_rate(self, lr: float) -> None:
        self.lr.fill_(lr)
        torch._foreach_zero_(list(self.momentum.values()))

    def step(self, index_B: Tensor, drawn: Draw) -> Tensor:
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            return self._run(index_B, drawn)

    def _step(self, index_B: Tensor, drawn: Draw) -> Tensor:
        x_BCHW = augment(self.train.normalised(index_B), drawn)
        labels_B = self.train.labels[index_B]
        parts = self._parts(x_BCHW)
        names = [name for name in self.weights if not _is_convolution_bias(name)]
        loss, gradients = self._gradients(x_BCHW, labels_B, parts, names)
        self._update(dict(zip(names, gradients, strict=True)))
        return loss

    def _parts(self, x_BCHW: Tensor) -> int:
        """How many parts to take a batch in."""
        if x_BCHW.device.type == "cuda":
            return 1
        activation_bytes = x_BCHW[:, 0].numel() * WIDTH * self.dtype.itemsize
        return min(len(x_BCHW), -(-activation_bytes // PART_BYTES))

    def _gradients(self, x_BCHW: Tensor, labels_B: Tensor, parts: int, names: list[str]) -> tuple[Tensor, list[Tensor]]:
        """The batch's mean loss and its gradients for the weights of these names, summed over parts of the batch."""
        weights = [self.weights[name] for name in names]
        loss, gradients = torch.zeros((), device=x_BCHW.device), [torch.zeros_like(weight) for weight in weights]
        for x_PCHW, labels_P in zip(x_BCHW.tensor_split(parts), labels_B.tensor_split(parts), strict=True):
            logits = self._forward(x_PCHW, self.dtype)
            part_loss = F.cross_entropy(logits, labels_P, reduction="sum") / len(labels_B)
            torch._foreach_add_(gradients, torch.autograd.grad(part_loss, weights))
            loss += part_loss.detach()
        return loss, gradients

    @torch.no_grad()
    def _update(self, gradients: dict[str, Tensor]) -> None:
        """SGD with weight decay and momentum, all weights at once."""
        weights, momentum = list(self.weights.values()), list(self.momentum.values())
        torch._foreach_mul_(momentum, self.protocol.momentum)
        torch._foreach_add_(momentum, weights, alpha=self.protocol.weight_decay)
        torch._foreach_add_([self.momentum[name] for name in gradients], list(gradients.values()))
        torch._foreach_sub_(weights, torch._foreach_mul(momentum, self.lr))

    def _forward(self, x_BCHW: Tensor, dtype: torch.dtype) -> Tensor:
        """Normalised images to logits (B, classes) in float32, with convolutions in `dtype`."""
        x = x_BCHW.to(dtype, memory_format=torch.channels_last)
        for depth in range(DEPTH):
            kernel, gamma, beta = (
                self.weights[f"blocks.{depth}.{name}"] for name in ("0.weight", "1.weight", "1.bias")
            )
            y = F.conv2d(x, kernel.to(dtype, memory_format=torch.channels_last), padding=1)
            x = self.norm_relu_pool(y, gamma, beta)
        return F.linear(x.float().flatten(1), self.weights["head.weight"], self.weights["head.bias"])

    def logits(self, x_BCHW: Tensor) -> Tensor:
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            return self._forward(x_BCHW, torch.float32)

    def state(self) -> dict[str, Tensor]:
        weights = {f"weight.{name}": weight.detach() for name, weight in self.weights.items()}
        return weights | {f"momentum.{name}": buffer for name, buffer in self.momentum.items()}

    @torch.no_grad()
    def load(self, state: dict[str, Tensor]) -> None:
        own = self.state()
        for name, value in state.items():
            own[name].copy_(value)

    @property
    def deviations(self) -> tuple[str, ...]:
        if self.dtype == torch.float32:
            return ()
        return ("Convolutions of the training steps multiply in bfloat16 and add in float32.",)


def _is_convolution_bias(name: str) -> bool:
    return name.startswith("blocks.") and name.endswith(".0.bias")
