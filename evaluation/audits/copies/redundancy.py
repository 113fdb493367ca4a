"""Which images tell the audits something of their class, and which only repeat what another one of it told?"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from evaluation.audits.matching.rotation import best_correlations, correlation_bounds, ring_spectra
from evaluation.base.challenge import Challenge

_GRID = 8
# Standard deviation of the means over an 8 x 8 grid, each channel freed of its own mean. The plainest of 2,000 real
# images and more have 6 (Tiny-ImageNet), 8 (CIFAR-100) and 68 (digits); one colour with noise of deviation 5 has 1.4,
# black with 5 coloured pixels at most 3.3.
_PLAIN_LEVELS = 2.0
_COMPARED = 50  # images of a class: the pairs grow with the square, and 50 tell enough
# From which correlation at the best turn, and from which cosine of what the probe sees, two images are one picture. Of
# 12 real images a class these leave 11.8 or more; of 10 to which one was made by turns, mirroring, brightness,
# contrast, noise, JPEG or shifts up to an eighth of the width they leave 1 to 2.
_SAME = {"cifar100": 0.95, "tiny-imagenet": 0.95, "digits": 0.99}
_SEEN_SAME = {"cifar100": 0.93, "tiny-imagenet": 0.93, "digits": 0.998}
_PAIRS = 4096  # compared at a time


def telling(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether each picture shows more than one colour, up to noise.

    uint8 (N, 3, H, W), H and W multiples of 8 -> bool (N,).
    """
    cell = images.shape[-1] // _GRID
    cells = images.reshape(len(images), 3, _GRID, cell, _GRID, cell).mean((3, 5), dtype=np.float32)
    spread: NDArray[np.float32] = (cells - cells.mean((2, 3), keepdims=True)).reshape(len(images), -1).std(1)
    return spread >= _PLAIN_LEVELS


def pictures(
    images: NDArray[np.uint8], seen: NDArray[np.float32], labels: NDArray[np.int64], challenge: Challenge
) -> NDArray[np.int64]:
    """Which images of a class are one picture, turned, mirrored, brightened, shifted or with noise.

    Args:
        images: uint8 (N, 3, H, W), H and W multiples of 32.
        seen: float32 (N, F), what the probe sees in each, of mean 0 over real images.
        labels: int64 (N,).

    Returns:
        int64 (N,): the number of its picture, alike for images of one picture, from 0 up without gaps and with the
        pictures of a class beside each other; -1 beyond the first 50 images of a class, which are not compared.
    """
    from scipy.sparse.csgraph import connected_components

    numbers, count = np.full(len(labels), -1), 0
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)[:_COMPARED]
        same = _same(images[members], seen[members], challenge)
        found, of_class = connected_components(same, directed=False)
        numbers[members] = count + of_class
        count += found
    return numbers


def _same(images: NDArray[np.uint8], seen: NDArray[np.float32], challenge: Challenge) -> NDArray[np.bool_]:
    """Pairs that are one picture by themselves, above the diagonal: bool (N, N)."""
    unit = seen / np.linalg.norm(seen, axis=1, keepdims=True).clip(1e-9)
    same: NDArray[np.bool_] = np.triu(unit @ unit.T >= _SEEN_SAME[challenge.name], 1)
    spectra, least = ring_spectra(images), _SAME[challenge.name]
    possible = torch.triu(correlation_bounds(spectra, spectra) >= least, 1) & ~torch.from_numpy(same)
    pairs = possible.nonzero()
    for start in range(0, len(pairs), _PAIRS):
        one, other = pairs[start : start + _PAIRS].T
        same[one.numpy(), other.numpy()] = (best_correlations(spectra[one], spectra[other]) >= least).numpy()
    return same
