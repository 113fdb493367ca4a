"""Solvers against a case with a known solution: Gaussian data."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from submission.diffusion.samplers import (
    SIGMA_MAX,
    SIGMA_MIN,
    SOLVERS,
    consistency_sigmas,
    karras_sigmas,
    sample,
    sample_consistency,
    unipc,
)

MEAN, SPREAD = 0.3, 0.5


def ideal(x: Tensor, sigma: float) -> Tensor:
    """D(x; sigma) for data from N(MEAN, SPREAD^2): the posterior mean."""
    return (SPREAD**2 * x + sigma**2 * MEAN) / (SPREAD**2 + sigma**2)


def solution(noise: Tensor) -> Tensor:
    """Where the probability flow takes SIGMA_MAX * noise at sigma = 0: straight towards the mean."""
    return MEAN + (SIGMA_MAX * noise - MEAN) * SPREAD / math.hypot(SPREAD, SIGMA_MAX)


def error(solver: str, steps: int) -> float:
    noise = torch.linspace(-3, 3, 101, dtype=torch.float64)
    return float((sample(solver, ideal, noise, steps) - solution(noise)).abs().max())


def test_schedule_goes_from_the_largest_level_to_the_smallest_and_then_to_zero() -> None:
    sigmas = karras_sigmas(8)
    assert sigmas[0] == pytest.approx(SIGMA_MAX)
    assert sigmas[-2] == pytest.approx(SIGMA_MIN)
    assert sigmas[-1] == 0
    assert sigmas == sorted(sigmas, reverse=True)
    assert len(sigmas) == 9
    assert karras_sigmas(1) == pytest.approx([SIGMA_MAX, 0])


@pytest.mark.parametrize("solver", SOLVERS)
def test_solvers_converge_to_the_flow(solver: str) -> None:
    assert error(solver, 1001) < 0.01


# The order shows in how the error falls when the steps double; at the end of the schedule every solver makes the same
# step from SIGMA_MIN to 0, whose error is far below these.
@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2), ("dpm2m", 2)])
def test_solvers_have_their_order(solver: str, order: int) -> None:
    coarse, fine = error(solver, 65), error(solver, 129)
    assert coarse / fine == pytest.approx(2**order, rel=0.2)


@pytest.mark.parametrize("solver", ["dpm2m", "ipndm", "unipc", "unipc-bh1"])
def test_multi_step_solvers_beat_euler_at_few_steps(solver: str) -> None:
    assert error(solver, 15) < error("euler", 15)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("steps", [1, 2, 3, 8, 9])
def test_steps_count_evaluations(solver: str, steps: int) -> None:
    calls: list[float] = []

    def counted(x: Tensor, sigma: float) -> Tensor:
        calls.append(sigma)
        return ideal(x, sigma)

    result = sample(solver, counted, torch.zeros(4, 3, 2, 2), steps)
    assert len(calls) == (steps - (steps + 1) % 2 if solver == "heun" else steps)
    assert result.shape == (4, 3, 2, 2)
    assert result.isfinite().all()


@pytest.mark.parametrize("solver", SOLVERS)
def test_one_step_gives_the_denoised_noise(solver: str) -> None:
    noise = torch.randn(5, dtype=torch.float64)
    assert torch.allclose(sample(solver, ideal, noise, 1), ideal(SIGMA_MAX * noise, SIGMA_MAX))


@pytest.mark.parametrize("solver", SOLVERS)
def test_sampling_begins_at_the_level_asked_for(solver: str) -> None:
    """One-step networks are made for a level of their own, elsewhere the conditioning sigma."""
    noise = torch.randn(5, dtype=torch.float64)
    assert torch.allclose(sample(solver, ideal, noise, 1, sigma_max=2.5), ideal(2.5 * noise, 2.5))


def geometric(count: int) -> list[float]:
    """Levels that are even in log sigma, where the order of a solver in log sigma shows."""
    return [SIGMA_MAX * (0.02 / SIGMA_MAX) ** (i / count) for i in range(count + 1)]


@pytest.mark.parametrize("b2", [True, False])
def test_unipc_is_of_third_order(b2: bool) -> None:
    """Its first step has order one and is corrected to two; all that follow are better than third."""

    def to_a_level(count: int) -> float:
        noise = torch.linspace(-3, 3, 101, dtype=torch.float64)
        sigmas = geometric(count)
        seen: list[Tensor] = []

        def denoise(x: Tensor, sigma: float) -> Tensor:
            seen.append(x)
            return ideal(x, sigma)

        unipc(denoise, SIGMA_MAX * noise, [*sigmas, 0.0], b2=b2)
        exact = MEAN + (SIGMA_MAX * noise - MEAN) * math.hypot(SPREAD, sigmas[-1]) / math.hypot(SPREAD, SIGMA_MAX)
        return float((seen[-1] - exact).abs().max())

    assert to_a_level(64) / to_a_level(128) > 2**2.7


@pytest.mark.slow
@pytest.mark.parametrize("b2", [True, False])
@pytest.mark.parametrize("steps", [2, 3, 5, 10])
def test_unipc_takes_the_steps_of_diffusers(b2: bool, steps: int) -> None:
    """The same flow, which diffusers writes for images that shrink as noise grows: x / sqrt(1 + sigma^2)."""
    from diffusers import UniPCMultistepScheduler

    sigmas = karras_sigmas(steps)
    scheduler = UniPCMultistepScheduler(
        solver_order=3, solver_type="bh2" if b2 else "bh1", prediction_type="sample", use_karras_sigmas=True,
        final_sigmas_type="zero",
    )  # fmt: skip
    scheduler.set_timesteps(steps)
    scheduler.sigmas = torch.tensor([*sigmas[:-1], 1e-12], dtype=torch.float64)  # bh1 there is not a number at 0
    noise = torch.linspace(-3, 3, 7, dtype=torch.float64)[None]

    def bent(x: Tensor, sigma: float) -> Tensor:
        """No solver is exact on this one."""
        return ideal(x, sigma) + 0.1 * torch.sin(3 * x / math.hypot(1, sigma))

    x = noise * SIGMA_MAX / math.hypot(1, SIGMA_MAX)
    for sigma, timestep in zip(sigmas[:-1], scheduler.timesteps, strict=True):
        x = scheduler.step(bent(x * math.hypot(1, sigma), sigma), timestep, x, return_dict=False)[0]
    assert torch.allclose(unipc(bent, SIGMA_MAX * noise, sigmas, b2=b2), x, atol=1e-6)


def test_consistency_levels_fall_from_the_largest_through_the_middle() -> None:
    assert consistency_sigmas(1, 0.8) == [SIGMA_MAX]
    assert consistency_sigmas(2, 0.8) == pytest.approx([SIGMA_MAX, 0.8])
    levels = consistency_sigmas(4, 0.8)
    assert levels[0] == SIGMA_MAX and levels[2] == pytest.approx(0.8)
    assert levels == sorted(levels, reverse=True) and levels[-1] > 0


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_consistency_sampling_keeps_the_law_of_the_data(steps: int) -> None:
    """With the true end of the flow every number of steps gives N(MEAN, SPREAD^2), each with noise of its own."""
    draw = torch.Generator().manual_seed(0)
    noise = [torch.randn(20_000, dtype=torch.float64, generator=draw) for _ in range(steps)]
    calls: list[float] = []

    def end_of_flow(x: Tensor, sigma: float) -> Tensor:
        calls.append(sigma)
        return MEAN + (x - MEAN) * SPREAD / math.hypot(SPREAD, sigma)

    x = sample_consistency(end_of_flow, noise.__getitem__, steps, middle=0.8)
    assert calls == consistency_sigmas(steps, 0.8)
    assert float(x.mean()) == pytest.approx(MEAN, abs=0.02)
    assert float(x.std()) == pytest.approx(SPREAD, abs=0.02)
