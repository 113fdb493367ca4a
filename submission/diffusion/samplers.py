"""Samplers for few evaluations: solvers of the probability flow dx/dsigma = (x - D(x; sigma)) / sigma, and consistency.

Everywhere, **steps counts evaluations of the denoiser**, which is what takes the time: Heun, which evaluates twice a
step, makes half as many and longer steps. (With guidance each evaluation is of two labels and costs twice as much.)
"""

import math
from collections.abc import Callable
from itertools import pairwise

from torch import Tensor

SIGMA_MIN, SIGMA_MAX, RHO = 0.002, 80.0, 7.0

Denoise = Callable[[Tensor, float], Tensor]  # (x, sigma) -> D(x; sigma)
Solver = Callable[[Denoise, Tensor, list[float]], Tensor]


def karras_sigmas(count: int, low: float = SIGMA_MIN, high: float = SIGMA_MAX, rho: float = RHO) -> list[float]:
    """`count` noise levels from `high` down to `low`, then 0 (arXiv 2206.00364, equation 5). One level is `high`."""
    a, b = high ** (1 / rho), low ** (1 / rho)
    return [(a + i / max(count - 1, 1) * (b - a)) ** rho for i in range(count)] + [0.0]


def euler(denoise: Denoise, x: Tensor, sigmas: list[float]) -> Tensor:
    """First order; one evaluation a step. The last step, to 0, gives the denoised image itself, as in all solvers."""
    for now, then in pairwise(sigmas):
        slope = (x - denoise(x, now)) / now
        x = x + (then - now) * slope
    return x


def heun(denoise: Denoise, x: Tensor, sigmas: list[float]) -> Tensor:
    """Second order (arXiv 2206.00364, algorithm 1); two evaluations a step, one in the last."""
    for now, then in pairwise(sigmas):
        slope = (x - denoise(x, now)) / now
        ahead = x + (then - now) * slope
        if then > 0:
            slope = (slope + (ahead - denoise(ahead, then)) / then) / 2
        x = x + (then - now) * slope
    return x


def dpm2m(denoise: Denoise, x: Tensor, sigmas: list[float]) -> Tensor:
    """DPM-Solver++(2M) (arXiv 2211.01095, algorithm 2, in terms of sigma); second order, one evaluation a step."""
    previous, previous_width = None, 0.0
    for now, then in pairwise(sigmas):
        denoised = denoise(x, now)
        if then == 0:
            return denoised
        width = math.log(now / then)
        target = denoised
        if previous is not None:
            target = denoised + (denoised - previous) * (width / (2 * previous_width))
        x = x * (then / now) + target * (1 - then / now)
        previous, previous_width = denoised, width
    return x


# Adams-Bashforth weights of the slopes, newest first, by how many there are.
_ADAMS_BASHFORTH = ((1.0,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24))


def ipndm(denoise: Denoise, x: Tensor, sigmas: list[float]) -> Tensor:
    """Linear multi-step with up to four slopes and the weights of even steps (arXiv 2204.13902); one evaluation."""
    slopes: list[Tensor] = []
    for now, then in pairwise(sigmas):
        denoised = denoise(x, now)
        if then == 0:
            return denoised
        slopes = [(x - denoised) / now, *slopes[:3]]
        weights = _ADAMS_BASHFORTH[len(slopes) - 1]
        x = x + (then - now) * sum(weight * slope for weight, slope in zip(weights, slopes, strict=True))
    return x


SOLVERS: dict[str, Solver] = {"euler": euler, "heun": heun, "dpm2m": dpm2m, "ipndm": ipndm}


def sample(solver: str, denoise: Denoise, noise: Tensor, steps: int, sigma_max: float = SIGMA_MAX) -> Tensor:
    """Images from noise of any shape, in the denoiser's value range.

    Args:
        solver: a key of `SOLVERS`.
        denoise: D(x; sigma), called `steps` times, at least once (Heun: an even number is rounded down to an odd one).
        noise: standard normal.
        sigma_max: the noise level to begin at.
    """
    count = (steps + 1) // 2 if solver == "heun" else steps
    sigmas = karras_sigmas(count, high=sigma_max)
    return SOLVERS[solver](denoise, noise * sigmas[0], sigmas)


CONSISTENCY = "consistency"  # the solver of weights from `python -m submission.training distill`, and theirs alone


def consistency_sigmas(steps: int, middle: float) -> list[float]:
    """The noise levels of `steps` evaluations, falling evenly in the logarithm: SIGMA_MAX, and of two then `middle`."""
    return [SIGMA_MAX * (middle / SIGMA_MAX) ** (2 * i / steps) for i in range(steps)]


def sample_consistency(denoise: Denoise, noise: Callable[[int], Tensor], steps: int, middle: float) -> Tensor:
    """Images by multistep consistency sampling (arXiv 2303.01469, algorithm 1), noise levels taken from zero.

    Args:
        denoise: the consistency model f(x; sigma), which goes to the end of the flow in one evaluation.
        noise: standard normal for each of the `steps` evaluations, at least one: the first is what images begin from.
        middle: the noise level of the second evaluation of two.
    """
    first, *later = consistency_sigmas(steps, middle)
    x = denoise(first * noise(0), first)
    for i, sigma in enumerate(later, 1):
        x = denoise(x + sigma * noise(i), sigma)
    return x
