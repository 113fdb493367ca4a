"""Which average of the weights, which solver and how many steps: chosen on held-out training images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from evaluation.base.images import ImageSet
from submission.diffusion.networks.denoiser import Denoiser, Loss
from submission.diffusion.networks.unet import UNet
from submission.training.native.diffusion import DeviceData

CANDIDATES = (
    *(("dpm2m", steps) for steps in (5, 6, 8, 10, 12, 16)),
    *(("ipndm", steps) for steps in (5, 6, 8, 10, 12, 16)),
    *(("heun", steps) for steps in (7, 11, 15)),
)
TOLERANCE = 0.005  # a cheaper candidate whose distance is this close to the least is preferred


class Choice(Protocol):
    """What can be chosen: it costs steps, and its images are at a distance from real ones."""

    @property
    def steps(self) -> int: ...

    @property
    def distance(self) -> float: ...


Chosen = TypeVar("Chosen", bound=Choice)


@dataclass(frozen=True)
class Candidate:
    """A solver and its steps, and how far the images are from real ones."""

    solver: str
    steps: int
    distance: float


def held_out_loss(denoiser: Denoiser[UNet], loss: Loss, data: DeviceData, draws: int = 4, batch: int = 256) -> float:
    """Mean of `loss` over held-out images with fixed noise; lower is better. Leaves torch's default seed set."""
    torch.manual_seed(0)
    with torch.inference_mode():
        parts = [
            loss(denoiser, data.floats(index_B), data.labels[index_B])
            for _ in range(draws)
            for index_B in torch.arange(len(data.labels), device=data.labels.device).split(batch)
        ]
    return float(torch.cat(parts).mean())


def energy_distance(made_ND: Tensor, real_MD: Tensor) -> tuple[float, float]:
    """The energy distance between two samples, unbiased, and the mean distance among the real ones.

    As a U-statistic (Szekely and Rizzo, 2013, equation 1.2); 0 in expectation iff the distributions are the same.
    """
    n, m = len(made_ND), len(real_MD)
    among_made = torch.cdist(made_ND, made_ND).sum() / (n * (n - 1))
    among_real = torch.cdist(real_MD, real_MD).sum() / (m * (m - 1))
    return float(2 * torch.cdist(made_ND, real_MD).mean() - among_made - among_real), float(among_real)


def class_distance(made: ImageSet, real: ImageSet) -> float:
    """Energy distance between images of the same class, over the distance among the real ones, sums over classes."""
    total_distance, total_among_real = 0.0, 0.0
    for label in sorted(set(real.labels.tolist())):
        made_ND, real_MD = (
            torch.from_numpy(part.images[part.labels == label]).flatten(1).float() / 255 for part in (made, real)
        )
        distance, among_real = energy_distance(made_ND, real_MD)
        total_distance += distance
        total_among_real += among_real
    return total_distance / total_among_real


def fewest_steps(candidates: Sequence[Chosen], tolerance: float = TOLERANCE) -> Chosen:
    """The fewest steps within `tolerance` of the smallest distance; of equals the closer one."""
    limit = min(candidate.distance for candidate in candidates) + tolerance
    near = [candidate for candidate in candidates if candidate.distance <= limit]
    return min(near, key=lambda candidate: (candidate.steps, candidate.distance))
