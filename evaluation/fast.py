"""The fast engine: the protocol's steps with the same draws, arranged for the hardware.

One function makes a whole gradient from plain tensors (no module, no host sync), so it can be compiled once and
serve every round. Weights, gradients and momentum are updated in place.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from evaluation.augment import Draw, augment
from evaluation.convnet import ConvNet, seeded_convnet
from evaluation.engine import Engine
from evaluation.protocol import Protocol
from evaluation.resident import Resident


class FastEngine(Engine):
    """The protocol in fewer, larger operations."""

    def __init__(self, train: Resident, classes: int, protocol: Protocol) -> None:
        super().__init__(train)
        self.classes, self.protocol = classes, protocol
        self.net: ConvNet = seeded_convnet(classes, train.size, seed=0).to(train.device)
        self.weights: dict[str, Tensor] = dict(self.net.named_parameters())
        self.momentum = {name: torch.zeros_like(weight) for name, weight in self.weights.items()}

    @torch.no_grad()
    def start(self, seed: int) -> None:
        fresh = dict(seeded_convnet(self.classes, self.train.size, seed).named_parameters())
        for name, weight in self.weights.items():
            weight.copy_(fresh[name])

    def set_rate(self, lr: float) -> None:
        self.lr = lr
        torch._foreach_zero_(list(self.momentum.values()))

    def step(self, index_B: Tensor, drawn: Draw) -> Tensor:
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            x_BCHW = augment(self.train.normalised(index_B), drawn)
            loss = F.cross_entropy(functional_call(self.net, self.weights, x_BCHW), self.train.labels[index_B])
            gradients = torch.autograd.grad(loss, list(self.weights.values()))
        self._update(list(gradients))
        return loss.detach()

    @torch.no_grad()
    def _update(self, gradients: list[Tensor]) -> None:
        weights, momentum = list(self.weights.values()), list(self.momentum.values())
        torch._foreach_mul_(momentum, self.protocol.momentum)
        torch._foreach_add_(momentum, gradients)
        torch._foreach_add_(momentum, weights, alpha=self.protocol.weight_decay)
        torch._foreach_add_(weights, momentum, alpha=-self.lr)

    def logits(self, x_BCHW: Tensor) -> Tensor:
        return self.net(x_BCHW)

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
        return ()
