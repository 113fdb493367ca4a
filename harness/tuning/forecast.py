"""Forecast: the accuracy a candidate would have at the IPC its budget gives, from pilots at a few images per class.

The logit of accuracy is modelled as linear in the logarithm of IPC, z = a_c + (b + d_c) (log IPC - x0): each candidate
c has its own level a_c, all share a slope b, and a candidate's own slope departs from it by d_c ~ N(0, (TAU b)^2). With
few pilots a slope is poorly known and would dominate the extrapolation from 8 images per class to 800; the slopes of
one generator's candidates are similar, if not equal: images of very few steps are near the mean of their class, which
is good when there are few images and no better when there are many. The noise is that between rounds, and more where
the lines fit the pilots less well. This is one linear Gaussian model, solved in closed form.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float64]

# How far slopes of candidates differ, as a fraction of the slope itself.
TAU = 0.5
# In logits; where pilots have a single round each, that between rounds tested on 10,000 images.
_NOISE_WITHOUT_ROUNDS = 0.05
_LEAST_NOISE = 0.005
_DRAWS = 4000


@dataclass(frozen=True)
class Pilot:
    """The accuracy of `ipc` images per class: one fraction for each round."""

    ipc: int
    rounds: tuple[float, ...]


@dataclass(frozen=True)
class Forecast:
    """The accuracy at the budget's IPC, a fraction, with its 95% interval."""

    ipc: float
    accuracy: float
    ci95: tuple[float, float]
    best: float  # probability that no other candidate has a higher accuracy


def forecasts(pilots: Mapping[str, Sequence[Pilot]], ipc: Mapping[str, float]) -> dict[str, Forecast]:
    """The forecast of each candidate, from `pilots` of at least two different IPC in all, at the budget's `ipc`."""
    from scipy.special import expit, logit, ndtri

    assert len({pilot.ipc for each in pilots.values() for pilot in each}) > 1, "a slope needs two IPC"
    names, count = list(pilots), len(pilots)
    cells = [(number, pilot) for number, name in enumerate(names) for pilot in pilots[name]]
    rounds = [len(pilot.rounds) for _, pilot in cells]
    candidate_R = np.repeat([number for number, _ in cells], rounds)
    x_R = np.log(np.repeat([pilot.ipc for _, pilot in cells], rounds))
    z_of_cell = [logit(np.clip(pilot.rounds, 1e-4, 1 - 1e-4)) for _, pilot in cells]
    z_R, noise, x0 = np.concatenate(z_of_cell), _noise(z_of_cell), float(x_R.max())

    # columns: levels, the shared slope, the departures from it
    design_RP = np.zeros((len(z_R), 2 * count + 1))
    rows = np.arange(len(z_R))
    design_RP[rows, candidate_R] = 1
    design_RP[:, count] = x_R - x0
    design_RP[rows, count + 1 + candidate_R] = x_R - x0
    prior = np.full(2 * count + 1, 1e-8)  # levels and slope are free
    prior[count + 1 :] = 1 / max(TAU * abs(_shared_slope(candidate_R, x_R, z_R)), 1e-3) ** 2
    covariance = np.linalg.inv(design_RP.T @ design_RP / noise**2 + np.diag(prior))
    solution = covariance @ design_RP.T @ z_R / noise**2
    covariance *= _misfit(z_R - design_RP @ solution, noise, len(z_R) - count - 1)

    away_C = np.log([max(ipc[name], 1e-9) for name in names]) - x0
    target_CP = np.hstack([np.eye(count), away_C[:, None], np.diag(away_C)])
    mean_C, covariance_CC = target_CP @ solution, target_CP @ covariance @ target_CP.T
    draws_DC = np.random.default_rng(0).multivariate_normal(mean_C, covariance_CC, _DRAWS, method="svd")
    best_C = (np.bincount(draws_DC.argmax(1), minlength=count) / _DRAWS).tolist()
    half_width_C = ndtri(0.975) * np.sqrt(np.diag(covariance_CC))
    accuracy_C, low_C, high_C = (expit(z_C).tolist() for z_C in (mean_C, mean_C - half_width_C, mean_C + half_width_C))
    return {name: Forecast(ipc[name], accuracy_C[i], (low_C[i], high_C[i]), best_C[i]) for i, name in enumerate(names)}


def _noise(cells: Sequence[_Floats]) -> float:
    """The standard deviation between rounds of the same pilot, pooled over all pilots."""
    freedom = sum(len(cell) - 1 for cell in cells)
    if freedom == 0:
        return _NOISE_WITHOUT_ROUNDS
    return max(_LEAST_NOISE, float(np.sqrt(sum(((cell - cell.mean()) ** 2).sum() for cell in cells) / freedom)))


def _misfit(residual_R: _Floats, noise: float, freedom: int) -> float:
    """How much more the pilots scatter around the lines than rounds do, as a ratio of variances; at least 1."""
    return max(1.0, float((residual_R**2).sum()) / noise**2 / freedom) if freedom > 0 else 1.0


def _shared_slope(candidate_R: NDArray[np.int64], x_R: _Floats, z_R: _Floats) -> float:
    """Least squares within candidates."""
    x, z = (
        np.concatenate([v[candidate_R == c] - v[candidate_R == c].mean() for c in np.unique(candidate_R)])
        for v in (x_R, z_R)
    )
    return float((x * z).sum() / max((x * x).sum(), 1e-12))
