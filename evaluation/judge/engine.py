"""Engine: what trains the judge's network, one step at a time, and DeviceSet: the images that it trains on."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet, NormalisedSet
from evaluation.judge.draws import PassDraws
from evaluation.judge.dsa import Draw
from evaluation.judge.parallel import Workers
from evaluation.judge.protocol import Protocol

PREDICT_BATCH = 256


@dataclass(frozen=True)
class DeviceSet:
    """A labelled set on one device. 8-bit images stay 8-bit there, a quarter of the memory.

    Attributes:
        images, labels: uint8 (N, 3, H, W), or float32 and normalised; int64 (N,).
        mean, std: float32 (3, 1, 1), of pixel values scaled to [0, 1].
    """

    images: Tensor
    labels: Tensor
    mean: Tensor
    std: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def device(self) -> torch.device:
        return self.labels.device

    @property
    def size(self) -> int:
        return self.images.shape[-1]

    def normalised(self, part: Tensor | slice) -> Tensor:
        """The images at these positions, float32 (B, 3, H, W), normalised."""
        x_BCHW = self.images[part]
        if x_BCHW.dtype == torch.uint8:
            x_BCHW = (x_BCHW.float() / 255 - self.mean) / self.std
        return x_BCHW


def put_on_device(labelled: ImageSet | NormalisedSet, challenge: Challenge, device: torch.device) -> DeviceSet:
    """Put a labelled set on `device`; on the CPU it shares the memory of `labelled`.

    Raises ValueError where the set is empty, of another size than the challenge's, or has labels outside [0, classes).
    """
    images, labels = labelled.images, labelled.labels
    if len(labels) == 0:
        raise ValueError("there is no image to judge: the set is empty")
    (height, width), size = images.shape[-2:], challenge.size
    if (height, width) != (size, size):
        raise ValueError(f"images are {width}x{height}, but {challenge.title} is judged at {size}x{size}: resize them")
    if labels.min() < 0 or labels.max() >= challenge.classes:
        raise ValueError(
            f"labels go from {labels.min()} to {labels.max()}, but {challenge.title} has classes 0 to "
            f"{challenge.classes - 1}"
        )
    # without a copy where torch can share the array's memory
    shared = (torch.from_numpy(np.require(array, requirements=["C", "W"])) for array in (images, labels))
    x_NCHW, labels_N = (tensor.to(device) for tensor in shared)
    mean, std = (torch.tensor(values, device=device).view(3, 1, 1) for values in (challenge.mean, challenge.std))
    return DeviceSet(x_NCHW, labels_N, mean, std)


class Engine(ABC):
    """Trains one network after another on one set; built once for a judgement, started once for each round.

    Args:
        train: the training images.
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

    def steps(self, draws: PassDraws) -> Tensor:
        """All steps of `draws`; their losses (S,)."""
        return torch.stack([self.step(index_B, drawn) for index_B, drawn in draws.batches()])

    @property
    def steps_at_once(self) -> int:
        """After how many steps one may look at the engine without slowing it down."""
        return 1

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
    def predict(self, test: DeviceSet, before_part: Callable[[], None] = lambda: None) -> Tensor:
        """The predicted label of every image of `test`, int64 (N,); calls `before_part` a few times a second."""
        found = []
        for first in range(0, len(test), PREDICT_BATCH):
            before_part()
            found.append(self.logits(test.normalised(slice(first, first + PREDICT_BATCH))).argmax(dim=1))
        return torch.cat(found)
