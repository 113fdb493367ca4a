"""The reference image that each image was made from: rotated, shifted, cropped, upside down, negative or in grey.

A shortlist (`candidates.py`) names a few references for each image. They are aligned with it coarsely, and the best of
these finely. Images are compared in grey and without low frequencies, in which any two images are alike.
"""

from collections.abc import Iterator
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluation.audits.matching.candidates import CandidateIndex, grey
from evaluation.audits.matching.nearest import Nearest

_CANDIDATES = 8  # references aligned coarsely with an image
_FINALISTS = 2  # and finely
_PROMISING = 0.5  # coarse correlation from which fine alignment is worth its time
_PATCH, _SHIFT = 24, 4  # the middle of the reference, which stays in the image when shifted by as many pixels
# How references are transformed: degrees, zoom, pixels right, pixels down.
_COARSE_CHANGES = torch.tensor(list(product((-8.0, 0.0, 8.0), (1.0, 8 / 7), (0.0,), (0.0,))))
_FINE_CHANGES = torch.tensor(list(product((-10.0, -5.0, 0.0, 5.0, 10.0), (1.0, 8 / 7), (0.0,), (0.0,))))
_CLOSE = 0.7  # correlation after one of these from which similar ones are tried
_AROUND = torch.tensor(list(product((-2.5, 0.0, 2.5), (0.965, 1.0, 1.035), (0.0, 0.5), (0.0, 0.5))))
_MIDDLE = 0.54  # weight of a pixel itself when blurred; its two neighbours share the rest
_PLAIN = 1.5  # standard deviation in levels below which there is nothing to compare
_PAIRS = 16  # aligned finely at a time
_QUERIES = 256  # shortlisted at a time
_BLOCK = 2048


class AlignedSet:
    """Reference images uint8 (M, 3, H, W), H and W multiples of 32, indexed for the search for altered copies."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self.images = images
        self._candidates = CandidateIndex(images)
        blocks = (images[start : start + _BLOCK] for start in range(0, len(images), _BLOCK))
        self._halved = torch.cat([_halved(_high_pass(grey(block))).half() for block in blocks])

    def nearest(self, images: NDArray[np.uint8]) -> Nearest:
        """The most likely original of each of `images` uint8 (N, 3, H, W).

        The correlation is that of the best overlap of 24 x 24 of 32 x 32 pixels, over quarter turns and up to 12.5
        degrees on top, mirroring, shifts up to 4 pixels, zooms up to 1.22 and negatives; 0 where no reference was
        worth a comparison. `exact` is not determined: all false.
        """
        found = Nearest.none(len(images))
        for start in range(0, len(images), _QUERIES):
            block = slice(start, start + _QUERIES)
            self._compare(images[block], self._candidates.closeness(images[block]), found, start)
        return found

    def earlier(self, members: NDArray[np.int64], enough: float) -> Nearest:
        """The same for the references at `members` int64 (N,), each among those before it; `index` is into these.

        `enough` is a correlation from which an original is found, and not aligned more exactly.
        """
        found = Nearest.none(len(members))
        for start in range(0, len(members), _QUERIES):
            images = self.images[members[start : start + _QUERIES]]
            closeness = self._candidates.closeness(images, torch.from_numpy(members[: start + len(images)]))
            before = torch.ones(closeness.shape, dtype=torch.bool).tril(start - 1)
            self._compare(images, closeness.where(before, -torch.inf), found, start, members, enough)
        return found

    def _compare(
        self,
        images: NDArray[np.uint8],
        closeness: Tensor,
        found: Nearest,
        start: int,
        members: NDArray[np.int64] | None = None,
        enough: float = 1.0,
    ) -> None:
        """Write to `found`, from `start` on, the originals of `images`, given their closeness (B, references)."""
        likely, shortlist = closeness.topk(min(_CANDIDATES, closeness.shape[1]))  # (B, C)
        positions = shortlist.numpy() if members is None else members[shortlist.numpy()]
        details = _high_pass(grey(images))
        best, turn = _coarse_correlations(_halved(details), self._halved[torch.from_numpy(positions)].float()).max(2)
        order = best.where(likely > -torch.inf, 0).topk(min(_FINALISTS, best.shape[1]))[1]
        rows, places = torch.nonzero(best.where(likely > -torch.inf, 0).gather(1, order) >= _PROMISING, as_tuple=True)
        if len(rows) == 0:
            return
        chosen = order[rows, places]
        queries, turns = details[rows], turn[rows, chosen]
        for number, oriented in enumerate(_orientations(details[rows])):
            queries[turns == number] = oriented[turns == number]
        references = self.images[positions[rows.numpy(), chosen.numpy()]]
        correlation = _fine_correlations(queries, _high_pass(grey(references)), enough)
        for row, place, value in zip(rows.tolist(), chosen.tolist(), correlation.tolist(), strict=True):
            if value > found.correlation[start + row]:
                found.index[start + row], found.correlation[start + row] = shortlist[row, place], value


def _high_pass(images: Tensor) -> Tensor:
    """float32 (N, 32, 32), blurred slightly against traces of resampling, less their means over 9 x 9 pixels."""
    x = torch.nn.functional.pad(images[:, None], (5, 5, 5, 5), mode="reflect")[:, 0]
    for axis in (1, 2):
        before, here, after = (x.narrow(axis, first, x.shape[axis] - 2) for first in range(3))
        x = _MIDDLE * here + (1 - _MIDDLE) / 2 * (before + after)
    means = x
    for axis in (1, 2):
        sums = means.cumsum(axis)
        first, rest = sums.narrow(axis, 8, 1), sums.narrow(axis, 9, sums.shape[axis] - 9)
        means = torch.cat([first, rest - sums.narrow(axis, 0, rest.shape[axis])], axis) / 9
    return x[:, 4:-4, 4:-4] - means


def _halved(images: Tensor) -> Tensor:
    """float32 (N, 32, 32) -> float32 (N, 16, 16)."""
    return torch.nn.functional.avg_pool2d(images, 2)


def _orientations(images: Tensor, *more: tuple[int, int]) -> Iterator[Tensor]:
    """The eight orientations of float32 (N, S, S, ...); `more` are axes to rotate along."""
    for mirrored in (False, True):
        for quarters in range(4):
            oriented = images
            for axes in ((1, 2), *more):
                oriented = (oriented.flip(axes[1]) if mirrored else oriented).rot90(quarters, axes)
            yield oriented


def _coarse_correlations(images: Tensor, references: Tensor) -> Tensor:
    """float32 (B, 16, 16) and (B, C, 16, 16) -> float32 (B, C, 8): best correlations for each orientation."""
    batch, candidates = references.shape[:2]
    side, shifts = _PATCH // 2, _SHIFT + 1
    windows = _windows(images, side).view(batch, shifts, shifts, side, side)
    patches = _patches(references.flatten(0, 1), side, _COARSE_CHANGES).view(batch, -1, side**2)
    best = []
    for oriented in _orientations(windows, (3, 4)):
        found = patches @ oriented.reshape(batch, shifts**2, side**2).transpose(1, 2)
        best.append(found.abs_().view(batch, candidates, -1).amax(2))
    return torch.stack(best, 2)


def _fine_correlations(images: Tensor, references: Tensor, enough: float) -> Tensor:
    """float32 (P, 32, 32) twice -> float32 (P,): the best correlations; a lower bound outside [_CLOSE, enough)."""
    correlation = torch.zeros(len(images))
    for start in range(0, len(images), _PAIRS):
        windows = _windows(images[start : start + _PAIRS], _PATCH).transpose(1, 2)
        block = references[start : start + _PAIRS]
        found, change = (_patches(block, _PATCH, _FINE_CHANGES) @ windows).abs().amax(2).max(1)
        close = torch.nonzero((found >= _CLOSE) & (found < enough))[:, 0]
        best = _FINE_CHANGES[change[close], None]
        around = torch.where(torch.tensor([False, True, False, False]), best * _AROUND, best + _AROUND)
        refined = (_patches(block[close], _PATCH, around) @ windows[close]).abs().amax((1, 2))
        found[close] = torch.maximum(found[close], refined)
        correlation[start : start + _PAIRS] = found
    return correlation


def _windows(images: Tensor, side: int) -> Tensor:
    """float32 (N, S, S) -> float32 (N, shifts, side * side): every window, standardised."""
    return _standardised(images.unfold(1, side, 1).unfold(2, side, 1).flatten(3).flatten(1, 2))


def _patches(images: Tensor, side: int, changes: Tensor) -> Tensor:
    """The centres of images after each transformation, standardised.

    Args:
        images: float32 (P, S, S).
        changes: float32 (T, 4) or, other ones for each image, (P, T, 4).

    Returns:
        float32 (P, T, side * side).
    """
    steps = torch.arange(side) - (side - 1) / 2
    down, right = torch.meshgrid(steps, steps, indexing="ij")
    turns, zooms, aside, below = changes[..., None].unbind(-2)  # (..., T, 1) each
    cosine, sine = turns.deg2rad().cos() / zooms, turns.deg2rad().sin() / zooms
    x = cosine * right.flatten() - sine * down.flatten() + aside
    y = sine * right.flatten() + cosine * down.flatten() + below
    grid = torch.stack([x, y], -1) * 2 / images.shape[-1]  # (..., T, side * side, 2)
    sampled = torch.nn.functional.grid_sample(
        images[:, None], grid.expand(len(images), -1, -1, -1), align_corners=False
    )
    return _standardised(sampled[:, 0])


def _standardised(patches: Tensor) -> Tensor:
    """Each of float32 (..., pixels) with mean 0 and norm 1; less if it is nearly plain."""
    patches = patches - patches.mean(-1, keepdim=True)
    return patches / patches.norm(dim=-1, keepdim=True).clamp_min(_PLAIN * patches.shape[-1] ** 0.5)
