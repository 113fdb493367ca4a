"""The nearest reference image of each image, up to mirroring, brightness and contrast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_COARSE, _FINE = 8, 16  # grids of means: one to search in, one to compare on
_COMPONENTS = 48  # principal components of the coarse grid to search in: 3 x faster, and near-copies lie within them
_QUERIES, _REFERENCES = 256, 4096  # a block of distances that stays in the processor's cache
_BLOCK = 2048
FLAT_LEVELS = 2.0  # standard deviation below which an image is too plain to be told from another


@dataclass(frozen=True)
class Nearest:
    """The nearest reference image of each of N images.

    Attributes:
        index: int64 (N,), which reference image.
        correlation: float32 (N,), of means over a 16 x 16 grid, normalised in brightness and contrast; at most 1, and 0
            where either image is nearly of one colour.
        exact: bool (N,), whether all pixels are equal, mirrored or not.
    """

    index: NDArray[np.int64]
    correlation: NDArray[np.float32]
    exact: NDArray[np.bool_]

    def take(self, positions: NDArray[np.int64]) -> Nearest:
        """The same for some of the images."""
        return Nearest(self.index[positions], self.correlation[positions], self.exact[positions])

    @classmethod
    def none(cls, count: int) -> Nearest:
        """For images without a near reference: index and correlation 0."""
        return cls(np.zeros(count, np.int64), np.zeros(count, np.float32), np.zeros(count, bool))


def standardised_grid(images: NDArray[np.uint8], grid: int) -> NDArray[np.float32]:
    """uint8 (N, 3, H, W) -> float32 (N, 3 * grid * grid): means over cells, each image with mean 0 and norm 1.

    Images that are nearly of one colour become all zero.
    """
    means = np.empty((len(images), 3 * grid * grid), np.float32)
    for start in range(0, len(images), _BLOCK):
        block = torch.from_numpy(np.ascontiguousarray(images[start : start + _BLOCK])).float()
        cells = torch.nn.functional.avg_pool2d(block, block.shape[-1] // grid)
        means[start : start + _BLOCK] = cells.flatten(1).numpy()
    means -= means.mean(1, keepdims=True)
    norms = np.linalg.norm(means, axis=1, keepdims=True)
    flat = norms < FLAT_LEVELS * np.sqrt(means.shape[1])
    means /= np.where(flat, np.inf, norms)
    return means


class ReferenceSet:
    """Reference images uint8 (M, 3, H, W), H and W multiples of 16, indexed for search."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self.images = images
        coarse = torch.from_numpy(standardised_grid(images, _COARSE))
        sample = coarse[:: max(1, len(coarse) // 10_000)]
        self._basis = torch.linalg.eigh(sample.T @ sample)[1][:, -_COMPONENTS:]
        self._points = coarse @ self._basis
        self._half_squares = (self._points**2).sum(1) / 2

    def nearest(self, images: NDArray[np.uint8]) -> Nearest:
        """The nearest reference image of each of `images` uint8 (N, 3, H, W)."""
        straight, mirrored = (
            self._search(torch.from_numpy(standardised_grid(oriented, _COARSE)) @ self._basis)
            for oriented in (images, images[..., ::-1])
        )
        return _closer(self._compare(images, straight), self._compare(images[..., ::-1], mirrored))

    def earlier(self) -> Nearest:
        """The nearest image of each reference image among those before it; of the first, nothing."""
        mirrored = self.images[..., ::-1]
        points = torch.from_numpy(standardised_grid(mirrored, _COARSE)) @ self._basis
        found = _closer(
            self._compare(self.images, self._search(self._points, earlier=True)),
            self._compare(mirrored, self._search(points, earlier=True)),
        )
        found.index[0], found.correlation[0], found.exact[0] = 0, 0.0, False
        return found

    def _search(self, points: Tensor, earlier: bool = False) -> NDArray[np.int64]:
        found = torch.empty(len(points), dtype=torch.int64)
        for start in range(0, len(points), _QUERIES):
            query = points[start : start + _QUERIES]
            best = torch.full((len(query),), -torch.inf)
            index = torch.zeros(len(query), dtype=torch.int64)
            for first in range(0, start + len(query) if earlier else len(self._points), _REFERENCES):
                references = slice(first, first + _REFERENCES)
                closeness = torch.addmm(-self._half_squares[references], query, self._points[references].T)
                if earlier and first + _REFERENCES > start:
                    before = torch.ones(closeness.shape, dtype=torch.bool).tril(start - first - 1)
                    closeness = closeness.where(before, -torch.inf)
                value, position = closeness.max(1)
                index = torch.where(value > best, position + first, index)
                best = torch.maximum(value, best)
            found[start : start + _QUERIES] = index
        return found.numpy()

    def _compare(self, images: NDArray[np.uint8], index: NDArray[np.int64]) -> Nearest:
        correlation, exact = np.empty(len(images), np.float32), np.empty(len(images), bool)
        for start in range(0, len(images), _BLOCK):
            block, references = images[start : start + _BLOCK], self.images[index[start : start + _BLOCK]]
            fine = standardised_grid(block, _FINE) * standardised_grid(references, _FINE)
            correlation[start : start + _BLOCK] = fine.sum(1)
            exact[start : start + _BLOCK] = (block == references).all((1, 2, 3))
        return Nearest(index, correlation, exact)


def _closer(one: Nearest, other: Nearest) -> Nearest:
    """For each image the nearer one."""
    better = other.correlation > one.correlation
    return Nearest(
        index=np.where(better, other.index, one.index),
        correlation=np.where(better, other.correlation, one.correlation),
        exact=one.exact | other.exact,
    )
