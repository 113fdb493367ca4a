"""Which images tell the class-order audit something: those that are not plain, and of each picture only one."""

import numpy as np
import torch
from numpy.typing import NDArray

from evaluation.audits.matching.rotation import best_correlations, correlation_bounds, ring_spectra
from evaluation.base.challenge import Challenge

_GRID = 8
# Standard deviation of the means over an 8 x 8 grid, each channel less its own mean. The plainest of over 2,000 real
# images have 6 (Tiny-ImageNet), 8 (CIFAR-100) and 68 (digits); one colour with noise of standard deviation 5 has 1.4,
# black with 5 coloured pixels at most 3.3.
_PLAIN_LEVELS = 2.0
_COMPARED = 50  # images of a class: the number of pairs is quadratic, and 50 are enough evidence
# Correlation at the best rotation, and cosine of the probe's logits, from which two images show the same picture. Of 12
# real images per class these leave 11.8 or more; of 10 made from a single one by rotation, mirroring, brightness,
# contrast, noise, JPEG or shifts up to an eighth of the width they leave 1 to 2.
_SAME_CORRELATION = {"cifar100": 0.95, "tiny-imagenet": 0.95, "digits": 0.99}
_SAME_COSINE = {"cifar100": 0.93, "tiny-imagenet": 0.93, "digits": 0.998}
_PAIRS = 4096  # compared at a time


def not_plain(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether each of uint8 (N, 3, H, W), H and W multiples of 8, shows more than noise on one colour: bool (N,)."""
    cell = images.shape[-1] // _GRID
    cells = images.reshape(len(images), 3, _GRID, cell, _GRID, cell).mean((3, 5), dtype=np.float32)
    contrast: NDArray[np.float32] = (cells - cells.mean((2, 3), keepdims=True)).reshape(len(images), -1).std(1)
    return contrast >= _PLAIN_LEVELS


def group_by_picture(
    images: NDArray[np.uint8], logits: NDArray[np.float32], labels: NDArray[np.int64], challenge: Challenge
) -> NDArray[np.int64]:
    """Group images of a class that show the same picture, rotated, mirrored, brightened, shifted or with noise.

    Args:
        images: uint8 (N, 3, H, W), H and W multiples of 32.
        logits: float32 (N, F), of the probe, with mean 0 over real images.
        labels: int64 (N,).

    Returns:
        int64 (N,): the number of its picture, from 0, class by class; -1 beyond the first 50 images of a class.
    """
    from scipy.sparse.csgraph import connected_components

    picture_N, count = np.full(len(labels), -1), 0
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)[:_COMPARED]
        found, group = connected_components(_same_picture(images[members], logits[members], challenge), directed=False)
        picture_N[members] = count + group
        count += found
    return picture_N


def _same_picture(images: NDArray[np.uint8], logits: NDArray[np.float32], challenge: Challenge) -> NDArray[np.bool_]:
    """Pairs that show the same picture, above the diagonal: bool (N, N)."""
    unit = logits / np.linalg.norm(logits, axis=1, keepdims=True).clip(1e-9)
    same: NDArray[np.bool_] = np.triu(unit @ unit.T >= _SAME_COSINE[challenge.name], 1)
    spectra, least = ring_spectra(images), _SAME_CORRELATION[challenge.name]
    possible = torch.triu(correlation_bounds(spectra, spectra) >= least, 1) & ~torch.from_numpy(same)
    pairs = possible.nonzero()
    for start in range(0, len(pairs), _PAIRS):
        one, other = pairs[start : start + _PAIRS].T
        same[one.numpy(), other.numpy()] = (best_correlations(spectra[one], spectra[other]) >= least).numpy()
    return same
