"""The reference engine: the protocol step by step, in float32. Slow and obviously right."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluation.judge.convnet import seeded_convnet
from evaluation.judge.dsa import Draw, augment
from evaluation.judge.engine import Engine


class ReferenceEngine(Engine):
    """Eager PyTorch with nothing changed for speed."""

    def start(self, seed: int) -> None:
        self.net = seeded_convnet(self.classes, self.train.size, seed).to(self.train.device)

    def set_rate(self, lr: float) -> None:
        self.optimiser = torch.optim.SGD(
            self.net.parameters(), lr=lr, momentum=self.protocol.momentum, weight_decay=self.protocol.weight_decay
        )

    def step(self, index_B: Tensor, drawn: Draw) -> Tensor:
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            x_BCHW = augment(self.train.normalised(index_B), drawn)
            loss = F.cross_entropy(self.net(x_BCHW), self.train.labels[index_B])
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
        return loss.detach()

    def logits(self, x_BCHW: Tensor) -> Tensor:
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            return self.net(x_BCHW)

    def state(self) -> dict[str, Tensor]:
        state = {f"weight.{name}": weight.detach() for name, weight in self.net.named_parameters()}
        for name, weight in self.net.named_parameters():
            if "momentum_buffer" in self.optimiser.state[weight]:
                state[f"momentum.{name}"] = self.optimiser.state[weight]["momentum_buffer"]
        return state

    def load(self, state: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for name, weight in self.net.named_parameters():
                weight.copy_(state[f"weight.{name}"])
                if f"momentum.{name}" in state:
                    self.optimiser.state[weight]["momentum_buffer"] = state[f"momentum.{name}"].to(weight.device)

    @property
    def deviations(self) -> tuple[str, ...]:
        return ()
