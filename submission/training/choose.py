"""Which average of the weights, which solver and how many steps: chosen on held-out training images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from evaluation.images import ImageSet
from submission.networks.edm import Denoiser, Loss
from submission.networks.unet import UNet
from submission.training.diffusion import DeviceData

Generate = Callable[[Tensor, Tensor, str, int], Tensor]  # (labels, seeds, solver, steps) -> uint8 (B, 3, H, W)

CANDIDATES = (
    *(("dpm2m", steps) for steps in (5, 6, 8, 10, 12, 16)),
    *(("ipndm", steps) for steps in (5, 6, 8, 10, 12, 16)),
    *(("heun", steps) for steps in (7, 11, 15)),
)
TOLERANCE = 0.005  # of the spread of real images: a cheaper candidate this close to the best is preferred


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

    Zero in expectation if and only if both come from the same distribution. Source: Szekely and Rizzo, 2013,
    equation 1.2, as a U-statistic. Both samples need at least two members.
    """
    n, m = len(made_ND), len(real_MD)
    among_made = torch.cdist(made_ND, made_ND).sum() / (n * (n - 1))
    among_real = torch.cdist(real_MD, real_MD).sum() / (m * (m - 1))
    return float(2 * torch.cdist(made_ND, real_MD).mean() - among_made - among_real), float(among_real)


def class_distance(made: ImageSet, real: ImageSet) -> float:
    """Energy distance between images of the same class, over the spread of the real ones, mean over the classes."""
    total_distance, total_spread = 0.0, 0.0
    for label in sorted(set(real.labels.tolist())):
        made_ND, real_MD = (
            torch.from_numpy(part.images[part.labels == label]).flatten(1).float() / 255 for part in (made, real)
        )
        distance, spread = energy_distance(made_ND, real_MD)
        total_distance += distance
        total_spread += spread
    return total_distance / total_spread


def rank_samplers(generate: Generate, held_out: ImageSet, per_class: int) -> list[Candidate]:
    """Every one of `CANDIDATES` with its distance from the held-out images; all make images from the same seeds."""
    classes = int(held_out.labels.max()) + 1
    labels = torch.arange(classes).repeat(per_class)
    seeds = torch.arange(len(labels))
    ranked = []
    for solver, steps in CANDIDATES:
        made = torch.cat(
            [generate(label_B, seed_B, solver, steps).cpu() for label_B, seed_B in _batches(labels, seeds)]
        )
        ranked.append(Candidate(solver, steps, class_distance(ImageSet(made.numpy(), labels.numpy()), held_out)))
    return ranked


def choose(ranked: Sequence[Candidate], tolerance: float = TOLERANCE) -> Candidate:
    """The fewest steps within `tolerance` of the smallest distance; of equals the closer one."""
    limit = min(candidate.distance for candidate in ranked) + tolerance
    near = [candidate for candidate in ranked if candidate.distance <= limit]
    return min(near, key=lambda candidate: (candidate.steps, candidate.distance))


def _batches(labels: Tensor, seeds: Tensor, size: int = 250) -> list[tuple[Tensor, Tensor]]:
    return list(zip(labels.split(size), seeds.split(size), strict=True))
