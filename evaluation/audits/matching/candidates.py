"""A shortlist of the images that another may be made from: shifted, rotated slightly, cropped, mirrored or negative.

The magnitudes of a windowed image's Fourier coefficients hardly change when it is shifted, and not at all when it is a
negative or upside down. Which of them depend on what an image shows, and which on how it was cropped, is learned from
the reference images and copies of them that are shifted, rotated and cropped (Fisher's linear discriminant).
"""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eigh
from torch import Tensor

SIZE = 32  # images are averaged down to it
_MAX_FREQUENCY = 7  # in waves per image
_FLOOR = 0.02  # added to relative magnitudes before the logarithm, so that noise in the smallest does not matter
_PLAIN = 20.0  # total magnitude below which an image is too plain to be told from another
_COMPONENTS = 48
_SAMPLE = 1500  # reference images to learn from
_CHANGES = (  # of the copies to learn from: degrees, zoom, pixels down and to the right
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

    An image with swapped channels gives the same.
    """
    x_BCHW = torch.from_numpy(np.ascontiguousarray(images)).float()
    return torch.nn.functional.avg_pool2d(x_BCHW.mean(1), x_BCHW.shape[-1] // SIZE)


class CandidateIndex:
    """Reference images uint8 (M, 3, H, W), H and W multiples of 32, indexed for a shortlist."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        sample = grey(images[:: max(1, len(images) // _SAMPLE)])
        known = _log_magnitudes(sample)[:, _distinct_frequencies()]
        self._mean = known.mean(0)
        moved = torch.cat([_log_magnitudes(_changed(sample, *change)) for change in _CHANGES])
        changes = moved[:, _distinct_frequencies()] - known.repeat(len(_CHANGES), 1)
        within = changes.T @ changes / len(sample) / len(_CHANGES)
        between = (known - self._mean).T @ (known - self._mean) / len(sample)
        ridge = 1e-6 * np.eye(len(within))
        vectors = eigh(between.double().numpy(), within.double().numpy() + ridge)[1]
        self._basis = torch.from_numpy(vectors[:, -_COMPONENTS:].astype(np.float32))
        blocks = (images[start : start + _BLOCK] for start in range(0, len(images), _BLOCK))
        self._points = torch.cat([self._project(_log_magnitudes(grey(block))) for block in blocks])

    def closeness(self, images: NDArray[np.uint8], among: Tensor | None = None) -> Tensor:
        """How likely each of uint8 (B, 3, H, W) was made from each reference: float32 (B, references), at most 1.

        `among` int64 (R,) are the references to search; all by default.
        """
        points = self._points if among is None else self._points[among]
        magnitudes = _log_magnitudes(grey(images))
        quarter = magnitudes.rot90(1, (1, 2))
        best = torch.full((len(images), len(points)), -1.0)
        for rotated in (magnitudes, magnitudes.flip(-1), quarter, quarter.flip(-1)):  # half a turn changes nothing
            torch.maximum(best, self._project(rotated) @ points.T, out=best)
        return best

    def _project(self, magnitudes: Tensor) -> Tensor:
        return torch.nn.functional.normalize((magnitudes[:, _distinct_frequencies()] - self._mean) @ self._basis, dim=1)


def _distinct_frequencies() -> Tensor:
    """bool (15, 15): the frequencies used, one of each pair that is equal for real-valued images."""
    waves = torch.arange(-_MAX_FREQUENCY, _MAX_FREQUENCY + 1)
    down, right = waves[:, None], waves[None, :]
    return (down**2 + right**2 <= _MAX_FREQUENCY**2 + 1) & ((down > 0) | ((down == 0) & (right > 0)))


def _log_magnitudes(images: Tensor) -> Tensor:
    """float32 (N, 32, 32) -> float32 (N, 15, 15): logarithms of relative magnitudes, frequency 0 in the middle."""
    window, waves = _window(), _waves()
    means = (images * window).sum((1, 2), keepdim=True) / window.sum()
    real, imaginary = ((images - means).flatten(1) @ waves).unflatten(1, (2, -1)).unbind(1)
    right = torch.hypot(real, imaginary).view(-1, 2 * _MAX_FREQUENCY + 1, _MAX_FREQUENCY + 1)
    # of real-valued images, each frequency equals its opposite
    magnitudes = torch.cat([right[..., 1:].flip((1, 2)), right], 2)
    total = magnitudes.flatten(1).norm(dim=1).clamp_min(_PLAIN)
    return (magnitudes / total[:, None, None] + _FLOOR).log()


def _window() -> Tensor:
    """float32 (32, 32), falling smoothly to the sides."""
    taper = torch.cos(torch.pi * ((torch.arange(SIZE) + 0.5) / SIZE - 0.5)) ** 2
    return taper[:, None] * taper[None, :]


@cache
def _waves() -> Tensor:
    """float32 (32 * 32, 2 * 15 * 8): the windowed waves to the right, cosines before sines."""
    places = torch.arange(SIZE) * 2 * torch.pi / SIZE
    down, right = torch.arange(-_MAX_FREQUENCY, _MAX_FREQUENCY + 1), torch.arange(_MAX_FREQUENCY + 1)
    phase = down[:, None, None, None] * places[:, None] + right[:, None, None] * places
    return (torch.stack([phase.cos(), phase.sin()]) * _window()).flatten(0, 2).flatten(1).T.contiguous()


def _changed(images: Tensor, degrees: float, zoom: float, down: float, right: float) -> Tensor:
    """float32 (N, 32, 32), rotated, enlarged and shifted; the borders are mirrored."""
    turn = np.deg2rad(degrees)
    rows = [
        [np.cos(turn) / zoom, -np.sin(turn) / zoom, -2 * right / SIZE],
        [np.sin(turn) / zoom, np.cos(turn) / zoom, -2 * down / SIZE],
    ]
    theta = torch.tensor(rows, dtype=torch.float32).expand(len(images), -1, -1)
    grid = torch.nn.functional.affine_grid(theta, [len(images), 1, SIZE, SIZE], align_corners=False)
    sampled = torch.nn.functional.grid_sample(images[:, None], grid, padding_mode="reflection", align_corners=False)
    return sampled[:, 0]
