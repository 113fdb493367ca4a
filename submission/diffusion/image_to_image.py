"""Image-to-image with any noise model: noise to a part of the schedule, then denoise in few deterministic steps."""

from __future__ import annotations

import torch
from torch import Tensor

from submission.diffusion.guidance import guided
from submission.diffusion.noise_model import NoiseModel


def timesteps_from(strength: float, steps: int, count: int) -> list[int]:
    """`steps` timesteps, evenly spaced and falling, of a schedule of `count`; the first is `strength` of the way up."""
    start = strength * (count - 1)
    return [round(start * (steps - done) / steps) for done in range(steps)]


def image_to_image(
    model: NoiseModel,
    z_BCHW: Tensor,
    noise_BCHW: Tensor,
    labels_B: Tensor,
    *,
    steps: int,
    strength: float,
    guidance: float = 1.0,
) -> Tensor:
    """`z_BCHW` remade by the model as images of the classes `labels_B`.

    Args:
        z_BCHW: clean, as `NoiseModel.encode` gives it.
        noise_BCHW: standard normal.
        steps: evaluations of the model (DDIM without noise, arXiv 2010.02502, equation 12), at least 1.
        strength: share of the schedule to noise to, in (0, 1]; 1 leaves nothing of `z_BCHW`.
        guidance: 1 for none; otherwise each evaluation is of two labels and costs twice as much.
    """
    timesteps = timesteps_from(strength, steps, len(model.gammas_T))
    gammas = model.gammas_T[timesteps].tolist()
    z_BCHW = gammas[0] ** 0.5 * z_BCHW + (1 - gammas[0]) ** 0.5 * noise_BCHW
    clean_BCHW = z_BCHW
    for timestep, gamma, after in zip(timesteps, gammas, [*gammas[1:], 1.0], strict=True):
        found_BCHW = _guided(model, z_BCHW, timestep, labels_B, guidance)
        clean_BCHW = (z_BCHW - (1 - gamma) ** 0.5 * found_BCHW) / gamma**0.5
        z_BCHW = after**0.5 * clean_BCHW + (1 - after) ** 0.5 * found_BCHW
    return z_BCHW


def _guided(model: NoiseModel, z_BCHW: Tensor, timestep: int, labels_B: Tensor, guidance: float) -> Tensor:
    timesteps_B = torch.full_like(labels_B, timestep)
    if guidance == 1:
        return model.predict(z_BCHW, timesteps_B, labels_B)
    both_B = torch.cat([labels_B, torch.full_like(labels_B, model.null_label)])
    found = model.predict(z_BCHW.repeat(2, 1, 1, 1), timesteps_B.repeat(2), both_B)
    return guided(found, guidance)
