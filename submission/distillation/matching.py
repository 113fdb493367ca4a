"""Steps that draw points of each class to where experts see what they see of its real images."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from math import cos, pi
from typing import Any, ClassVar

import torch
from torch import Tensor

from evaluation.base.challenge import Challenge
from evaluation.judge.norm_relu_pool import choose_norm_relu_pool
from evaluation.judge.parallel import Workers
from submission.contract.precision import fastest_precision

# images of 32x32 pixels that are looked at together: what fits in a core's cache, and in 10 GB of a card's memory
_IMAGES_ON_A_CORE, _IMAGES_ON_A_CARD = 64, 4096
_MOMENTS = (0.9, 0.99)


class ClassMatching(ABC):
    """A `session.Training` of K points of each of C classes, by what experts see of the images that they make.

    Attributes:
        key: of the points in a checkpoint.
        mean, std: of pixel values in [0, 1], (3, 1, 1), as the judge normalises.
    """

    key: ClassVar[str]

    def __init__(self, points: Tensor, steps: int, rate: float, challenge: Challenge, seed: int, device: str) -> None:
        """`points` (C, K, ...) are moved in place; `rate` of Adam falls to 0 along a cosine."""
        self.challenge, self.seed, self.device = challenge, seed, torch.device(device)
        self.points, self.steps, self.highest_rate = points.requires_grad_(), steps, rate
        self.optimiser = torch.optim.Adam([self.points], rate, _MOMENTS)
        self.steps_done = 0
        self.dtype = fastest_precision(self.device.type)
        self.norm_relu_pool = choose_norm_relu_pool(self.device, steps * (challenge.size / 32) ** 2)
        self.mean = torch.tensor(challenge.mean, device=device).view(3, 1, 1)
        self.std = torch.tensor(challenge.std, device=device).view(3, 1, 1)
        self._workers = Workers() if self.device.type == "cpu" else None
        self._map = self._workers.map if self._workers else map

    @property
    def batch(self) -> int:
        return self.points.shape[0] * self.points.shape[1]

    @property
    def images(self) -> int:
        return self.steps_done * self.batch

    @property
    def total(self) -> int:
        return self.steps * self.batch

    @property
    def rate(self) -> float:
        return self.highest_rate * (1 + cos(pi * self.steps_done / self.steps)) / 2

    @abstractmethod
    def step(self) -> Tensor:
        """One step with one expert; the loss, a scalar."""

    @abstractmethod
    def measured(self) -> dict[str, float]:
        """What was measured since it was last asked, by name."""

    def _map_parts(self, gradient: Callable[[slice], tuple[Tensor, Tensor, Tensor]]) -> Iterator[tuple[Tensor, ...]]:
        """`gradient` of whole classes, as many as a core or a card takes at once. Each of its results by itself."""
        most = _IMAGES_ON_A_CORE if self._workers else _IMAGES_ON_A_CARD
        images = max(most * 32**2 // self.challenge.size**2, 1)
        each = max(images // self.points.shape[1], 1)
        parts = (slice(start, start + each) for start in range(0, len(self.points), each))
        return zip(*self._map(gradient, parts), strict=True)

    def _descend(self, gradient: Tensor) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate
        self.points.grad = gradient
        self.optimiser.step()
        self.steps_done += 1

    def state(self) -> dict[str, Any]:
        """For a checkpoint: with the same arguments and this, the next step is the same."""
        return {
            self.key: self.points.detach(),
            "optimiser": self.optimiser.state_dict(),
            "steps_done": self.steps_done,
        }

    @torch.no_grad()
    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.points.copy_(state[self.key])
        self.optimiser.load_state_dict(state["optimiser"])
        self.steps_done = state["steps_done"]

    def close(self) -> None:
        """Give the cores back."""
        if self._workers:
            self._workers.close()
