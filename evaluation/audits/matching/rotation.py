"""Images as rings around their centre: rotation shifts the rings, mirroring reverses them.

So two images can be compared over all rotations and mirrorings at once, by a Fourier transform along the rings.
"""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_SIZE = 32  # images are averaged down to it
_RINGS = 8
_ANGLES = 64
_BLUR = (0.23, 0.54, 0.23)  # across pixels, so that resampling a rotated image matters less


@cache
def _sampling() -> Tensor:
    """float32 (rings * angles, size * size): bilinear sampling, each row weighted by the root of its ring's radius."""
    centre, rows = (_SIZE - 1) / 2, torch.zeros(_RINGS, _ANGLES, _SIZE, _SIZE)
    for ring in range(_RINGS):
        radius = (_SIZE / 2 - 1) * (ring + 0.75) / _RINGS
        for turn in range(_ANGLES):
            angle = 2 * np.pi * turn / _ANGLES
            y, x = centre + radius * np.sin(angle), centre + radius * np.cos(angle)
            top, left = int(y), int(x)
            for row, across in ((top, 1 - y + top), (top + 1, y - top)):
                for column, along in ((left, 1 - x + left), (left + 1, x - left)):
                    rows[ring, turn, row, column] += across * along * radius**0.5
    return rows.view(_RINGS * _ANGLES, _SIZE * _SIZE)


def ring_spectra(images: NDArray[np.uint8]) -> Tensor:
    """uint8 (N, 3, H, W), H and W multiples of 32 -> complex64 (N, 3 * rings, frequencies).

    Each image is blurred slightly, normalised in brightness and contrast, and scaled so that the correlation of two
    images is the sum that `best_correlations` takes, at most 1. An image of a single colour gives all zero.
    """
    x_BCHW = torch.from_numpy(np.ascontiguousarray(images)).float()
    x_BCHW = torch.nn.functional.avg_pool2d(x_BCHW, x_BCHW.shape[-1] // _SIZE)
    kernel = torch.tensor(_BLUR)
    weights = (kernel[:, None] * kernel[None, :]).expand(3, 1, 3, 3)
    x_BCHW = torch.nn.functional.pad(x_BCHW, (1, 1, 1, 1), mode="replicate")
    x_BCHW = torch.nn.functional.conv2d(x_BCHW, weights, groups=3)
    rings = (x_BCHW.reshape(-1, _SIZE * _SIZE) @ _sampling().T).view(-1, 3, _RINGS, _ANGLES)
    weight = _sampling().sum(1).view(1, 1, _RINGS, _ANGLES)
    mean = (rings * weight).sum((1, 2, 3), keepdim=True) / (3 * (weight**2).sum())
    rings = rings - mean * weight
    norm = rings.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    rings = torch.where(norm > _flat_norm(), rings / norm.clamp_min(1e-6), 0)
    spectrum = torch.fft.rfft(rings.view(-1, 3 * _RINGS, _ANGLES), norm="ortho")
    spectrum[..., 1:-1] *= 2**0.5  # each of these stands for two of the full spectrum
    return spectrum


def _flat_norm() -> float:
    """The norm of an image whose values differ by about one of 255 levels: nothing to compare."""
    return float((3 * (_sampling().sum(1) ** 2).sum()) ** 0.5)


def best_correlations(one: Tensor, other: Tensor) -> Tensor:
    """The correlations float32 (P,), in [-1, 1], of pairs of `ring_spectra` at their best rotation and mirroring."""
    best = torch.full((len(one),), -1.0)
    for reference in (other.conj(), other):
        product = (one * reference).sum(1)
        product[:, 1:-1] /= 2  # `irfft` counts these twice by itself
        best = torch.maximum(best, torch.fft.irfft(product, _ANGLES, norm="forward").amax(1))
    return best


def correlation_bounds(one: Tensor, other: Tensor) -> Tensor:
    """An upper bound of `best_correlations` for every pair, from the magnitudes of the spectra: float32 (N, M)."""
    return one.abs().flatten(1) @ other.abs().flatten(1).T
