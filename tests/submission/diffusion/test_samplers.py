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


@pytest.mark.parametrize("solver", ["dpm2m", "ipndm"])
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
