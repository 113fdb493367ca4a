"""From noise and labels to 8-bit images with a denoiser."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from submission.guidance import guided
from submission.networks.edm import Denoiser
from submission.samplers import SIGMA_MAX, sample


def sample_images(
    denoiser: Denoiser[Any],
    labels_B: Tensor,
    noise_B3HW: Tensor,
    solver: str,
    steps: int,
    guidance: float = 1.0,
    sigma_max: float = SIGMA_MAX,
) -> Tensor:
    """uint8 (B, 3, H, W), on the device of the noise.

    Args:
        denoiser: its network's label `classes` stands for none, where `guidance` is not 1.
        labels_B: int64, labels of the network.
        noise_B3HW: standard normal, fp32.
        solver, steps, sigma_max: see `submission.samplers.sample`.
        guidance: 1 for none; above 1 sharpens the class at twice the cost.
    """

    def denoise(x_B3HW: Tensor, sigma: float) -> Tensor:
        sigma_B = torch.full((len(x_B3HW),), sigma, device=x_B3HW.device)
        if guidance == 1:
            return denoiser(x_B3HW, sigma_B, labels_B)
        null_B = torch.full_like(labels_B, denoiser.network.classes)
        both = denoiser(x_B3HW.repeat(2, 1, 1, 1), sigma_B.repeat(2), torch.cat([labels_B, null_B]))
        return guided(both, guidance)

    return to_pixels(sample(solver, denoise, noise_B3HW, steps, sigma_max))


def to_pixels(images_B3HW: Tensor) -> Tensor:
    """uint8 from [-1, 1]; what lies outside is cut off."""
    return ((images_B3HW + 1) * 127.5).round_().clamp_(0, 255).to(torch.uint8).contiguous()
