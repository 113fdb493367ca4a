"""Samplers of networks that predict the noise at discrete timesteps, with each image's noise from its own seed."""

import json
import math
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from submission.diffusion.guidance import guided
from submission.diffusion.noise_model import NoiseModel

# name -> class of diffusers
SOLVERS = {
    "dpmsolver++": "DPMSolverMultistepScheduler",
    "unipc": "UniPCMultistepScheduler",
    "ddim": "DDIMScheduler",
    "ancestral": "DDPMScheduler",
}

# (z_t, t) -> the noise, and the position of the log variance between its bounds where the network predicts it
Predict = Callable[[Tensor, int], tuple[Tensor, Tensor | None]]


Noise = Callable[[int], Tensor]  # draw 0, 1, ... of standard normal noise, fp32 (B, ...), see `seeded.noise`


def sample(predict: Predict, schedule: dict[str, Any], solver: str, steps: int, noise: Noise) -> Tensor:
    """Latents z_0, fp32 (B, ...), from noise, at the timesteps of the solver's scheduler in diffusers.

    Args:
        predict: called `steps` times, at least once.
        schedule: configuration of the scheduler that the model came with.
        solver: a key of `SOLVERS`.

    Raises:
        ValueError: the model has fewer timesteps than `steps`.
    """
    scheduler = build_scheduler(solver, schedule)
    if steps > len(scheduler.alphas_cumprod):
        raise ValueError(f"the model has {len(scheduler.alphas_cumprod)} timesteps; ask for no more --steps than that")
    scheduler.set_timesteps(steps)  # on the CPU, so that no step waits for a card
    timesteps: list[int] = scheduler.timesteps.tolist()
    z_BCHW = noise(0)
    if solver == "unipc":
        weights = linear_weights(solver, json.dumps(schedule), steps)
        return combined(lambda z, number: predict(z, timesteps[number])[0], weights, z_BCHW)
    if solver == "ancestral":
        return ancestral(predict, scheduler.alphas_cumprod.tolist(), timesteps, noise, z_BCHW)
    for t in timesteps:
        z_BCHW = scheduler.step(predict(z_BCHW, t)[0], t, z_BCHW).prev_sample
    return z_BCHW


@cache
def linear_weights(solver: str, schedule_json: str, steps: int) -> tuple[tuple[float, ...], ...]:
    """Of each step's latents, the weights of the first noise and of each prediction so far.

    These solvers are linear in both, so what diffusers makes of unit vectors, on the CPU, says all that they do; on a
    card its UniPC waits for several small tensors of the host in every step.
    """
    scheduler = build_scheduler(solver, json.loads(schedule_json))
    scheduler.set_timesteps(steps)
    unit_NN = torch.eye(steps + 1, dtype=torch.float64)
    z_1N, weights = unit_NN[:1], []
    for number, t in enumerate(scheduler.timesteps.tolist(), start=1):
        z_1N = scheduler.step(unit_NN[number : number + 1], t, z_1N).prev_sample
        weights.append(tuple(z_1N[0, : number + 1].tolist()))
    return tuple(weights)


def combined(
    predict: Callable[[Tensor, int], Tensor], weights: tuple[tuple[float, ...], ...], z_BCHW: Tensor
) -> Tensor:
    """The latents after the last step; `predict` is called with the latents and the number of the step, from 0."""
    seen = [z_BCHW]
    for number, weights_N in enumerate(weights):
        seen.append(predict(z_BCHW, number))
        z_BCHW = weights_N[0] * seen[0]
        for weight, each in zip(weights_N[1:], seen[1:], strict=True):
            z_BCHW = z_BCHW.add(each, alpha=weight)
    return z_BCHW


def ancestral(predict: Predict, gammas: list[float], timesteps: list[int], noise: Noise, z_BCHW: Tensor) -> Tensor:
    """The sampler of DDPM (arXiv 2006.11239, algorithm 2) on falling `timesteps`; diffusers' has no noise per image.

    The variance is the network's where it predicts one (arXiv 2102.09672, equation 15), else the smaller bound.
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
        fraction = torch.zeros(()) if position_BCHW is None else (position_BCHW + 1) / 2
        std = torch.exp((log_lower + fraction * (log_upper - log_lower)) / 2)
        z_BCHW = towards_z0 * z0_BCHW + towards_z * z_BCHW + std * noise(number)
    raise AssertionError("the last step returns")


def build_scheduler(solver: str, schedule: dict[str, Any]) -> Any:
    """The scheduler of diffusers behind `solver`, for a model with `schedule`."""
    import diffusers

    return getattr(diffusers, SOLVERS[solver]).from_config(schedule)


def sigmas_of(path: Path) -> Tensor:
    """The sigma of z = x + sigma noise at each timestep of a `scheduler_config.json`, float64 (T,), rising.

    Raises ValueError if it is not the schedule that SDXL-Turbo was trained with.
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


def euler_ancestral(predict: Callable[[Tensor, int], Tensor], noise: Noise, sigmas_T: Tensor, steps: int) -> Tensor:
    """Latents z_0, float32 (B, ...), by Euler's method with fresh noise after each step, as SDXL-Turbo is sampled.

    Args:
        predict: the noise in a latent scaled to unit variance, at a timestep; called `steps` times, at least once.
        noise: called for the draws 0, 1, ..., `steps` - 1.
        sigmas_T: the noise level of each timestep.
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
    """`z_BCHW` (clean, as `NoiseModel.encode` gives it) remade by the model as images of the classes `labels_B`.

    Args:
        noise_BCHW: standard normal.
        steps: evaluations of the model (DDIM without noise, arXiv 2010.02502, equation 12), at least 1.
        strength: fraction of the schedule to noise to, in (0, 1]; 1 leaves nothing of `z_BCHW`.
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
