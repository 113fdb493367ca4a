"""Euler's method with fresh noise after each step, over timesteps that end at 0 ("trailing"), for SDXL-Turbo.

Every noise is asked of the caller, who makes it for each image from that image's seed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor


def sigmas_of(path: Path) -> Tensor:
    """The noise level of each timestep of a `scheduler_config.json`, float64 (T,), rising.

    A level sigma is that of z = x + sigma noise, which is z_t / sqrt(gamma_t).

    Raises:
        ValueError: it is not the schedule that SDXL-Turbo was trained with.
    """
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        first, last, count = float(config["beta_start"]), float(config["beta_end"]), int(config["num_train_timesteps"])
        fits = config["beta_schedule"] == "scaled_linear" and config["prediction_type"] == "epsilon"
    except (OSError, KeyError, TypeError, ValueError):
        fits = False
    if not fits:
        raise ValueError(f"{path} is damaged or of another kind of model than SDXL-Turbo; copy the model again")
    betas_T = torch.linspace(first**0.5, last**0.5, count, dtype=torch.float64) ** 2
    gammas_T = (1 - betas_T).cumprod(0)
    return ((1 - gammas_T) / gammas_T).sqrt()


def trailing_timesteps(count: int, steps: int) -> list[int]:
    """`steps` of the timesteps 0 to `count` - 1, falling from the last in equal parts: 999 for 1, 999 and 499 for 2."""
    return [round(count - count * step / steps) - 1 for step in range(steps)]


def sample(
    predict: Callable[[Tensor, int], Tensor], noise: Callable[[int], Tensor], sigmas_T: Tensor, steps: int
) -> Tensor:
    """Latents without noise, float32 (B, ...).

    Args:
        predict: the noise in a latent that is scaled to unit variance, at a timestep.
        noise: standard normal numbers float32 (B, ...), another set for each of the draws 0, 1, ..., `steps` - 1.
        sigmas_T: the noise level of each timestep.
        steps: evaluations of `predict`, at least 1.
    """
    timesteps = trailing_timesteps(len(sigmas_T), steps)
    levels = [float(sigmas_T[timestep]) for timestep in timesteps]
    z = levels[0] * noise(0)
    for step, (timestep, sigma) in enumerate(zip(timesteps, levels, strict=True), 1):
        eps = predict(z / (sigma**2 + 1) ** 0.5, timestep)
        x = z - sigma * eps
        if step == steps:
            return x
        to = levels[step]
        fresh = to * (1 - (to / sigma) ** 2) ** 0.5  # of the level `to`, so much is fresh noise
        z = x + (to**2 - fresh**2) ** 0.5 * eps + fresh * noise(step)
    raise AssertionError("there is a last step")
