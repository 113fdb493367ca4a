"""Samplers of a network that predicts the noise at discrete timesteps, with each image's noise from its own seed.

Spacing of the timesteps is each scheduler's own in diffusers for the model's configuration, as in its pipelines.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from submission.contract.seeded import normal

# name -> class of diffusers
SOLVERS = {
    "dpmsolver++": "DPMSolverMultistepScheduler",
    "unipc": "UniPCMultistepScheduler",
    "ddim": "DDIMScheduler",
    "ancestral": "DDPMScheduler",
}

# (z_t, t) -> the noise, and the position of the log variance between its bounds where the network predicts it
Predict = Callable[[Tensor, int], tuple[Tensor, Tensor | None]]


class SeededNoise:
    """Standard normal noise for a batch, draw after draw, of which each image's depends on its seed alone."""

    def __init__(self, seeds_B: Tensor, shape: tuple[int, ...]) -> None:
        """`shape`: of one image's noise."""
        self.seeds_B, self.shape = seeds_B, shape

    def draw(self, number: int) -> Tensor:
        """Draw `number`, fp32 (B, *shape)."""
        count = math.prod(self.shape)
        pairs = (count + 1) // 2  # what one draw takes of the sequence
        return normal(self.seeds_B, count, skip=number * pairs).view(-1, *self.shape)


def sample(predict: Predict, schedule: dict[str, Any], solver: str, steps: int, noise: SeededNoise) -> Tensor:
    """Latents from noise.

    Args:
        predict: called `steps` times.
        schedule: configuration of the scheduler that the model came with.
        solver: a key of `SOLVERS`.
        steps: at least 1.

    Returns:
        z_0, fp32 (B, *noise.shape).

    Raises:
        ValueError: the model has fewer timesteps than `steps`.
    """
    scheduler = build_scheduler(solver, schedule)
    if steps > len(scheduler.alphas_cumprod):
        raise ValueError(f"the model has {len(scheduler.alphas_cumprod)} timesteps; ask for no more --steps than that")
    scheduler.set_timesteps(steps)  # on the CPU, so that no step waits for a card
    timesteps: list[int] = scheduler.timesteps.tolist()
    z_BCHW = noise.draw(0)
    if solver == "ancestral":
        return ancestral(predict, scheduler.alphas_cumprod.tolist(), timesteps, noise, z_BCHW)
    for t in timesteps:
        z_BCHW = scheduler.step(predict(z_BCHW, t)[0], t, z_BCHW).prev_sample
    return z_BCHW


def ancestral(
    predict: Predict, gammas: list[float], timesteps: list[int], noise: SeededNoise, z_BCHW: Tensor
) -> Tensor:
    """The sampler of DDPM (arXiv 2006.11239, algorithm 2) on falling `timesteps`, none of them left out at the end.

    The variance is the network's where it predicts one (arXiv 2102.09672, equation 15), as in the DiT paper, else the
    smaller bound. diffusers has the same, but no way to give each image noise of its own.
    """
    pairs = pairwise([*((t, gammas[t]) for t in timesteps), (-1, 1.0)])
    for number, ((t, gamma), (_, gamma_then)) in enumerate(pairs, start=1):
        eps_BCHW, position_BCHW = predict(z_BCHW, t)
        z0_BCHW = (z_BCHW - math.sqrt(1 - gamma) * eps_BCHW) / math.sqrt(gamma)
        if gamma_then == 1:
            return z0_BCHW
        alpha = gamma / gamma_then
        towards_z0 = math.sqrt(gamma_then) * (1 - alpha) / (1 - gamma)
        towards_z = math.sqrt(alpha) * (1 - gamma_then) / (1 - gamma)
        log_upper = math.log(1 - alpha)
        log_lower = math.log((1 - alpha) * (1 - gamma_then) / (1 - gamma))
        share = torch.zeros(()) if position_BCHW is None else (position_BCHW + 1) / 2
        std = torch.exp((log_lower + share * (log_upper - log_lower)) / 2)
        z_BCHW = towards_z0 * z0_BCHW + towards_z * z_BCHW + std * noise.draw(number)
    raise AssertionError("the last step returns")


def build_scheduler(solver: str, schedule: dict[str, Any]) -> Any:
    """The scheduler of diffusers behind `solver`, for a model with `schedule`."""
    import diffusers

    return getattr(diffusers, SOLVERS[solver]).from_config(schedule)
