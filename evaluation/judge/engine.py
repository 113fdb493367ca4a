"""Engine: what trains the judge's network, one step at a time; the contract of the reference and the fast one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor

from evaluation.judge.device_set import DeviceSet
from evaluation.judge.dsa import Draw
from evaluation.judge.parallel import Workers
from evaluation.judge.protocol import Protocol

PREDICT_BATCH = 256


class Engine(ABC):
    """Trains one network after another on one set; built once for a judgement, started once for each round.

    Args:
        train: the training images.
        classes: outputs of the network.
        protocol: hyperparameters of the training.
        expected_steps: SGD steps of the whole judgement, by which an engine decides what to compile.
        workers: that an engine may share each batch out to, on a CPU; None to take batches whole.
    """

    def __init__(
        self,
        train: DeviceSet,
        classes: int,
        protocol: Protocol,
        *,
        expected_steps: int = 0,
        workers: Workers | None = None,
    ) -> None:
        self.train, self.classes, self.protocol = train, classes, protocol
        self.expected_steps, self.workers = expected_steps, workers

    @abstractmethod
    def start(self, seed: int) -> None:
        """Start over with the initial weights of `seed`; `set_rate` comes next."""

    @abstractmethod
    def set_rate(self, lr: float) -> None:
        """Create a new optimiser with this learning rate: momentum restarts from zero."""

    @abstractmethod
    def step(self, index_B: Tensor, drawn: Draw) -> Tensor:
        """One SGD step on the training images at `index_B`; its mean loss, a 0-dim tensor on the device."""

    @abstractmethod
    def logits(self, x_BCHW: Tensor) -> Tensor:
        """The network's logits (B, classes) of normalised images (B, 3, H, W)."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Weights and momentum buffers, as references to the tensors in use."""

    @abstractmethod
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state()` gave; the learning rate has been set before."""

    @property
    @abstractmethod
    def deviations(self) -> tuple[str, ...]:
        """How its arithmetic differs from the protocol's float32, one sentence each; empty if it does not."""

    @torch.no_grad()
    def predict(self, test: DeviceSet) -> Tensor:
        """The predicted label of every image of `test`, int64 (N,)."""
        parts = (slice(i, i + PREDICT_BATCH) for i in range(0, len(test), PREDICT_BATCH))
        return torch.cat([self.logits(test.normalised(part)).argmax(dim=1) for part in parts])
