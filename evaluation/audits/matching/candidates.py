"""A shortlist of the pictures that another may be made of: shifted, turned a little, cropped, mirrored or negative.

The strengths of a windowed picture's Fourier coefficients hardly change when it is shifted, and not at all when it is a
negative or upside down. Which of them say what a picture is, and which only how it was cut, is learned from the
reference pictures and copies of them that are shifted, turned and cropped (Fisher's linear discriminant).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eigh
from torch import Tensor

SIZE = 32  # pictures are averaged down to it
_REACH = 7  # highest frequency looked at, in waves per picture
_FLOOR = 0.02  # added to relative strengths before the logarithm, so that noise among the weakest does not matter
_PLAIN = 20.0  # total strength below which a picture is too plain to be told from another
_COMPONENTS = 48
_SAMPLE = 1500  # reference pictures to learn from
_CHANGES = (  # what copies to learn from are made by: degrees, zoom, pixels down and to the right
    (10.0, 1.0, 0.0, 0.0),
    (-10.0, 1.0, 0.0, 0.0),
    (0.0, 1.0, 3.0, 3.0),
    (0.0, 1.0, 3.0, -3.0),
    (0.0, 1.0, -3.0, 3.0),
    (0.0, 8 / 7, 0.0, 0.0),
    (0.0, 8 / 7, 2.3, 2.3),
)
_BLOCK = 2048


def grey(images: NDArray[np.uint8]) -> Tensor:
    """uint8 (N, 3, H, W), H and W multiples of 32 -> float32 (N, 32, 32): means over channels and cells, 0 to 255.

    A picture with its channels swapped gives the same.
    """
    x_BCHW = torch.from_numpy(np.ascontiguousarray(images)).float()
    return torch.nn.functional.avg_pool2d(x_BCHW.mean(1), x_BCHW.shape[-1] // SIZE)


class Strengths:
    """Reference pictures, ready for a shortlist.

    Args:
        images: uint8 (M, 3, H, W), H and W multiples of 32.
    """

    def __init__(self, images: NDArray[np.uint8]) -> None:
        sample = grey(images[:: max(1, len(images) // _SAMPLE)])
        known = _strengths(sample)[:, _chosen()]
        self._mean = known.mean(0)
        changes = [_strengths(_changed(sample, *change))[:, _chosen()] - known for change in _CHANGES]
        within = torch.cat(changes).T @ torch.cat(changes) / len(sample) / len(changes)
        between = (known - self._mean).T @ (known - self._mean) / len(sample)
        ridge = 1e-6 * np.eye(len(within))
        vectors = eigh(between.double().numpy(), within.double().numpy() + ridge)[1]
        self._basis = torch.from_numpy(vectors[:, -_COMPONENTS:].astype(np.float32))
        self._points = torch.cat(
            [self._project(_strengths(grey(images[start : start + _BLOCK]))) for start in range(0, len(images), _BLOCK)]
        )

    def closeness(self, images: NDArray[np.uint8], among: Tensor | None = None) -> Tensor:
        """How likely each of `images` uint8 (B, 3, H, W) was made of each reference: float32 (B, references), to 1.

        Args:
            among: int64 (R,), positions of the references to look among; all by default.
        """
        points = self._points if among is None else self._points[among]
        strengths = _strengths(grey(images))
        quarter = strengths.rot90(1, (1, 2))
        best = torch.full((len(images), len(points)), -1.0)
        for turned in (strengths, strengths.flip(-1), quarter, quarter.flip(-1)):  # half a turn changes nothing
            torch.maximum(best, self._project(turned) @ points.T, out=best)
        return best

    def _project(self, strengths: Tensor) -> Tensor:
        return torch.nn.functional.normalize((strengths[:, _chosen()] - self._mean) @ self._basis, dim=1)


def _chosen() -> Tensor:
    """bool (15, 15): the frequencies within reach, one of each pair that is equal for real pictures."""
    waves = torch.arange(-_REACH, _REACH + 1)
    down, right = waves[:, None], waves[None, :]
    return (down**2 + right**2 <= _REACH**2 + 1) & ((down > 0) | ((down == 0) & (right > 0)))


def _strengths(pictures: Tensor) -> Tensor:
    """float32 (N, 32, 32) -> float32 (N, 15, 15): logarithms of relative strengths, the slowest wave in the middle."""
    window, waves = _window(), _waves()
    means = (pictures * window).sum((1, 2), keepdim=True) / window.sum()
    real, imaginary = ((pictures - means).flatten(1) @ waves).unflatten(1, (2, -1)).unbind(1)
    right = torch.hypot(real, imaginary).view(-1, 2 * _REACH + 1, _REACH + 1)
    strengths = torch.cat(
        [right[..., 1:].flip((1, 2)), right], 2
    )  # of real pictures, each frequency equals its opposite
    total = strengths.flatten(1).norm(dim=1).clamp_min(_PLAIN)
    return (strengths / total[:, None, None] + _FLOOR).log()


def _window() -> Tensor:
    """float32 (32, 32), falling smoothly to the sides."""
    taper = torch.cos(torch.pi * ((torch.arange(SIZE) + 0.5) / SIZE - 0.5)) ** 2
    return taper[:, None] * taper[None, :]


@cache
def _waves() -> Tensor:
    """float32 (32 * 32, 2 * 15 * 8): the windowed waves to the right within reach, cosines before sines."""
    places = torch.arange(SIZE) * 2 * torch.pi / SIZE
    down, right = torch.arange(-_REACH, _REACH + 1), torch.arange(_REACH + 1)
    phase = down[:, None, None, None] * places[:, None] + right[:, None, None] * places
    return (torch.stack([phase.cos(), phase.sin()]) * _window()).flatten(0, 2).flatten(1).T.contiguous()


def _changed(pictures: Tensor, degrees: float, zoom: float, down: float, right: float) -> Tensor:
    """float32 (N, 32, 32), turned, enlarged and shifted; what comes in from outside is mirrored."""
    turn = np.deg2rad(degrees)
    rows = [
        [np.cos(turn) / zoom, -np.sin(turn) / zoom, -2 * right / SIZE],
        [np.sin(turn) / zoom, np.cos(turn) / zoom, -2 * down / SIZE],
    ]
    theta = torch.tensor(rows, dtype=torch.float32).expand(len(pictures), -1, -1)
    grid = torch.nn.functional.affine_grid(theta, [len(pictures), 1, SIZE, SIZE], align_corners=False)
    sampled = torch.nn.functional.grid_sample(pictures[:, None], grid, padding_mode="reflection", align_corners=False)
    return sampled[:, 0]
