"""Forecast: the accuracy that a candidate would have at the IPC its budget gives, from pilots at a few images a class.

The logit of accuracy is taken as linear in the logarithm of IPC, z = a_c + (b + d_c) (log IPC - x0): each candidate c
has its own level a_c, all share a slope b, and a candidate's own slope departs from it by d_c ~ N(0, (TAU b)^2). With
few pilots a slope is known badly and would decide everything on the way from 8 images a class to 800; candidates of one
generator have slopes alike, if not equal: images of very few steps are near their class's mean, good when there are few
and no better when there are many. The noise is that between rounds, and more where the lines miss the pilots by more.
Everything is then one linear Gaussian model, solved in closed form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float64]

# How far slopes of candidates differ, as a share of the slope itself.
TAU = 0.5
# Of the noise, in logits, where pilots have a single round each: that of a 10,000-image test between rounds.
_NOISE_WITHOUT_ROUNDS = 0.05
_LEAST_NOISE = 0.005
_DRAWS = 4000
_Z95 = 1.959964


@dataclass(frozen=True)
class Pilot:
    """The accuracy of `ipc` images a class: one fraction for each round."""

    ipc: int
    rounds: tuple[float, ...]


@dataclass(frozen=True)
class Forecast:
    """What is expected at the budget's IPC.

    Attributes:
        ipc: images per class it speaks of.
        accuracy: a fraction.
        ci95: its 95% interval.
        best: probability that no other candidate has more.
    """

    ipc: float
    accuracy: float
    ci95: tuple[float, float]
    best: float


def forecasts(pilots: Mapping[str, Sequence[Pilot]], ipc: Mapping[str, float]) -> dict[str, Forecast]:
    """The forecast of each candidate.

    Args:
        pilots: of each candidate, at least one each; at least two different IPC among them all.
        ipc: images per class that the budget gives, for each of these candidates.
    """
    names = list(pilots)
    assert len({pilot.ipc for each in pilots.values() for pilot in each}) > 1, "a slope needs two IPC"
    rows = [
        (number, np.log(pilot.ipc), _logit(accuracy))
        for number, name in enumerate(names)
        for pilot in pilots[name]
        for accuracy in pilot.rounds
    ]
    candidate_R, x_R, z_R = (
        np.array([r[0] for r in rows]),
        np.array([r[1] for r in rows]),
        np.array([r[2] for r in rows]),
    )
    x0 = float(x_R.max())
    noise = _noise([np.array([_logit(a) for a in pilot.rounds]) for each in pilots.values() for pilot in each])

    # columns: levels, the shared slope, the departures from it
    count = len(names)
    design_RP = np.zeros((len(rows), 2 * count + 1))
    design_RP[np.arange(len(rows)), candidate_R] = 1
    design_RP[:, count] = x_R - x0
    design_RP[np.arange(len(rows)), count + 1 + candidate_R] = x_R - x0
    slope = _shared_slope(candidate_R, x_R, z_R)
    prior = np.full(2 * count + 1, 1e-8)  # levels and slope are free
    prior[count + 1 :] = 1 / max(TAU * abs(slope), 1e-3) ** 2
    covariance = np.linalg.inv(design_RP.T @ design_RP / noise**2 + np.diag(prior))
    solution = covariance @ design_RP.T @ z_R / noise**2
    covariance *= _misfit(z_R - design_RP @ solution, noise, len(rows) - count - 1)

    target_CP = np.zeros((count, 2 * count + 1))
    away_C = np.log([max(ipc[name], 1e-9) for name in names]) - x0
    target_CP[np.arange(count), np.arange(count)] = 1
    target_CP[:, count] = away_C
    target_CP[np.arange(count), count + 1 + np.arange(count)] = away_C
    mean_C, covariance_CC = target_CP @ solution, target_CP @ covariance @ target_CP.T
    best_C = _chances_to_be_best(mean_C, covariance_CC)
    off_C = _Z95 * np.sqrt(np.diag(covariance_CC))
    return {
        name: Forecast(
            ipc[name],
            _logistic(mean_C[i]),
            (_logistic(mean_C[i] - off_C[i]), _logistic(mean_C[i] + off_C[i])),
            best_C[i],
        )
        for i, name in enumerate(names)
    }


def _noise(cells: Sequence[_Floats]) -> float:
    """The deviation between rounds of the same pilot, over all pilots."""
    freedom = sum(len(cell) - 1 for cell in cells)
    if freedom == 0:
        return _NOISE_WITHOUT_ROUNDS
    return max(_LEAST_NOISE, float(np.sqrt(sum(((cell - cell.mean()) ** 2).sum() for cell in cells) / freedom)))


def _misfit(residual_R: _Floats, noise: float, freedom: int) -> float:
    """By how much the pilots scatter around the lines more than rounds do, as a ratio of variances; at least 1."""
    return max(1.0, float((residual_R**2).sum()) / noise**2 / freedom) if freedom > 0 else 1.0


def _shared_slope(candidate_R: NDArray[np.int64], x_R: _Floats, z_R: _Floats) -> float:
    """Least squares within candidates."""
    x, z = (
        np.concatenate([v[candidate_R == c] - v[candidate_R == c].mean() for c in np.unique(candidate_R)])
        for v in (x_R, z_R)
    )
    return float((x * z).sum() / max((x * x).sum(), 1e-12))


def _chances_to_be_best(mean_C: _Floats, covariance_CC: _Floats) -> list[float]:
    draws = np.random.default_rng(0).multivariate_normal(mean_C, covariance_CC, _DRAWS, method="svd")
    return [float(share) for share in np.bincount(draws.argmax(1), minlength=len(mean_C)) / _DRAWS]


def _logit(accuracy: float) -> float:
    inside = min(max(accuracy, 1e-4), 1 - 1e-4)
    return float(np.log(inside / (1 - inside)))


def _logistic(z: float) -> float:
    return float(1 / (1 + np.exp(-z)))
