"""Successive halving on made-up accuracies: it finds the best way to spend the budget and does not pay for all."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from harness.tuning.forecast import Pilot, forecasts
from harness.tuning.successive_halving import Candidate, Tuning, choose, images_ahead, levels

# The min-max paper's Table 3: steps -> (images in the budget, accuracy on CIFAR-100, on Tiny-ImageNet)
TABLE_3 = {
    5: (4544, 0.1198, 0.0539),
    10: (2560, 0.1472, 0.0653),
    15: (1792, 0.1386, 0.0588),
    20: (1376, 0.1244, 0.0524),
    25: (1120, 0.1332, 0.0488),
    30: (800, 0.1101, 0.0419),
}


class World:
    """Accuracies whose logit is linear in log IPC, with noise between rounds, and what measuring them cost."""

    def __init__(
        self, budget_ipc: dict[int, float], at_budget: dict[int, float], noise: float, slope: float = 0.6
    ) -> None:
        self.budget_ipc, self.at_budget, self.noise, self.slope = budget_ipc, at_budget, noise, slope
        self.rng = np.random.default_rng(0)
        self.images = 0.0
        self.left: list[float] = []  # seconds that were said to remain

    def ipc_of(self, candidate: Candidate) -> float:
        return self.budget_ipc[candidate.steps]

    def measure(self, candidate: Candidate, sizes: Sequence[int]) -> list[Pilot]:
        return [Pilot(ipc, self.rounds(candidate, ipc)) for ipc in sizes]

    def rounds(self, candidate: Candidate, ipc: int) -> tuple[float, ...]:
        self.images += ipc
        there = self.at_budget[candidate.steps]
        z = math.log(there / (1 - there)) + self.slope * math.log(ipc / self.budget_ipc[candidate.steps])
        return tuple(1 / (1 + math.exp(-(z + self.noise * self.rng.normal()))) for _ in range(3))

    def tune(self) -> Tuning:
        candidates = [Candidate(steps) for steps in self.budget_ipc]
        return choose(candidates, self.ipc_of, self.measure, lambda each: each.steps, on_pilot=self.left.append)


@pytest.mark.parametrize(("column", "classes"), [(1, 100), (2, 200)], ids=["cifar100", "tiny-imagenet"])
def test_the_papers_choice_is_ten_steps(column: int, classes: int) -> None:
    world = World(
        {steps: row[0] / classes for steps, row in TABLE_3.items()},
        {steps: row[column] for steps, row in TABLE_3.items()},
        noise=0.02,
    )
    assert world.tune().chosen.steps == 10


@given(st.lists(st.floats(0.05, 0.9), min_size=2, max_size=8, unique=True), st.floats(20, 2000))
@settings(deadline=None, max_examples=50)
def test_without_noise_the_best_is_found_for_a_quarter_of_the_images(accuracies: list[float], ipc: float) -> None:
    by_steps = dict(enumerate(accuracies, 1))
    world = World({steps: ipc / steps**0.5 for steps in by_steps}, by_steps, noise=0.0)
    tuned = world.tune()
    assert by_steps[tuned.chosen.steps] >= max(accuracies) - 0.005
    if ipc >= 500:
        assert world.images < sum(world.budget_ipc.values()) / 4


def test_a_bad_candidate_costs_little() -> None:
    world = World({1: 800.0, 8: 400.0, 64: 50.0}, {1: 0.1, 8: 0.5, 64: 0.3}, noise=0.01)
    tuned = world.tune()
    assert tuned.chosen.steps == 8
    assert {result.candidate.steps: result.level for result in tuned.results}[1] == 1
    assert tuned.winner.forecast.best > 0.9
    assert [each.steps for each in tuned.tied] == [8]


def test_what_remains_is_less_after_each_pilot_and_nothing_after_the_last() -> None:
    plan = [[1, 2, 4], [8], [16]]
    assert images_ahead(plan, 1, 5, 0) == 5 * 7 + 3 * 8 + 2 * 16
    assert images_ahead(plan, 2, 3, 1) == 2 * 8 + 2 * 16
    assert images_ahead(plan, 3, 2, 2) == 0
    world = World({4: 1000.0, 6: 700.0, 8: 500.0}, {4: 0.97, 6: 0.97, 8: 0.97}, noise=0.0)
    world.tune()
    assert world.left[-1] == 0 and len(world.left) == 6


def test_what_cannot_be_told_apart_is_piloted_to_the_end() -> None:
    world = World({4: 1000.0, 6: 700.0, 8: 500.0}, {4: 0.97, 6: 0.97, 8: 0.97}, noise=0.0)
    tuned = world.tune()
    results = tuned.results
    assert tuned.chosen.steps == 4 and {each.steps for each in tuned.tied} == {4, 6, 8}, "the cheapest of them"
    assert {result.level for result in results} == {2}
    assert all(len(result.pilots) == 4 for result in results)


def test_one_candidate_is_chosen_and_still_forecast() -> None:
    tuned = World({4: 100.0}, {4: 0.5}, noise=0.0).tune()
    assert tuned.chosen.steps == 4 and tuned.winner.forecast.accuracy == pytest.approx(0.5, abs=0.01)


@given(st.integers(1, 12), st.floats(1, 5000))
def test_levels_double(candidates: int, ipc: float) -> None:
    found = levels(candidates, ipc)
    sizes = [size for level in found for size in level]
    assert sizes == sorted(set(sizes)) and sizes[0] >= 1 and len(found[0]) == 3
    assert 2 ** len(found) >= candidates
    assert sizes[-1] <= max(ipc / 8 * 1.5, 4 * 2 ** (len(found) - 1))


def test_forecasts_cover_the_truth_and_know_how_little_they_know() -> None:
    inside, widths = 0, []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        slopes = 0.6 * (1 + 0.15 * rng.normal(size=3))

        def rounds(
            number: int, ipc: int, rng: np.random.Generator = rng, slopes: np.ndarray = slopes
        ) -> tuple[float, ...]:
            z = -1.0 + 0.2 * number + slopes[number] * math.log(ipc / 8)
            return tuple(1 / (1 + np.exp(-(z + 0.05 * rng.normal(size=3)))))

        pilots = {str(n): [Pilot(ipc, rounds(n, ipc)) for ipc in (2, 4, 8)] for n in range(3)}
        near, far = (forecasts(pilots, dict.fromkeys(pilots, ipc)) for ipc in (8.0, 200.0))
        for number in range(3):
            truth = 1 / (1 + math.exp(-(-1.0 + 0.2 * number + slopes[number] * math.log(200 / 8))))
            low, high = far[str(number)].ci95
            inside += low <= truth <= high
            widths.append((high - low) > (near[str(number)].ci95[1] - near[str(number)].ci95[0]))
    assert 0.88 <= inside / 300 <= 1.0
    assert all(widths)


def test_the_chances_to_be_best_are_a_whole() -> None:
    pilots = {name: [Pilot(2, (0.1, 0.11)), Pilot(8, (0.2, 0.21))] for name in "ab"}
    found = forecasts(pilots, {"a": 100.0, "b": 100.0})
    assert found["a"].best + found["b"].best == pytest.approx(1.0)
    assert found["a"].best == pytest.approx(0.5, abs=0.05)


def test_the_interval_in_the_middle_of_the_pilots_is_that_of_the_rounds() -> None:
    """Three sizes on a line: all nine rounds, and no slope, say what the middle one reaches."""
    z = np.array([-0.1, 0.0, 0.1])  # logits: std 0.1 with ddof 1
    pilots = [Pilot(ipc, tuple(expit(z + level))) for ipc, level in ((4, -0.5), (8, 0.0), (16, 0.5))]
    found = forecasts({"a": pilots}, {"a": 8.0})["a"]
    half_width = 1.959964 * 0.1 / 9**0.5
    assert found.accuracy == pytest.approx(0.5)
    assert found.ci95 == pytest.approx((expit(-half_width), expit(half_width)), rel=1e-4)
