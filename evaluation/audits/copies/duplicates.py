"""How many images are really different ones?

In a class turned, mirrored, brightened, shifted and cropped copies count once; in the whole set those that are as good
as the same, mirrored or not.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from evaluation.audits.base.audit import Audit, Number
from evaluation.audits.matching.alignment import AlignedSet
from evaluation.audits.matching.nearest import Nearest, ReferenceSet
from evaluation.audits.matching.rotation import best_correlations, correlation_bounds, ring_spectra
from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet

# Correlation at the best turn from which two pictures of a class count as one. Of real images, 100 a class, these call
# 0.1% (CIFAR-100), less than 0.05% (Tiny-ImageNet) and 0.2% (digits) copies; of images after the third place's
# augmentation (turns up to 60 degrees, mirroring, brightness, contrast, gamma) they know 97%, 98% and 92% again.
_SAME = {"cifar100": 0.975, "tiny-imagenet": 0.975, "digits": 0.99}
# Correlation from which a shifted or cropped picture of a class counts as one with another (`aligned.py`), above 1
# where pictures are too simple for that. Of real images, 100 a class, it calls 0.4% more copies (CIFAR-100, where they
# are the same photographs cut otherwise) and, 50 a class, 0.02% (Tiny-ImageNet). Of all of CIFAR-100, 500 a class, 2.3%
# count as copies by all three ways together.
_SAME_CUT = {"cifar100": 0.94, "tiny-imagenet": 0.92, "digits": 2.0}
# Correlation from which pictures of any classes do (`near.py`): no real ones of two classes at 100 a class, 18 of the
# 50,000 of all of CIFAR-100.
_SAME_ANYWHERE = 0.995
_TOLERATED = 0.05  # share of copies
_SHOWN = 8  # copies that the report shows
_ROWS = 1024  # pictures compared with their class at a time


def originals_within_class(images: NDArray[np.uint8], same: float) -> NDArray[np.int64]:
    """For each image of one class the earlier one that it repeats, turned, mirrored, brightened or with other contrast.

    Args:
        images: uint8 (N, 3, H, W), H and W multiples of 32.
        same: correlation from which two pictures count as one.

    Returns:
        int64 (N,), itself where it repeats none; pictures of a single colour count as copies of each other.
    """
    spectra = ring_spectra(images)
    flat = (spectra.abs().amax((1, 2)) == 0).numpy()
    originals = np.where(flat, flat.argmax(), np.arange(len(images)))
    for start in range(0, len(images), _ROWS):
        bounds = correlation_bounds(spectra[start : start + _ROWS], spectra[start:])
        candidates = torch.triu(bounds >= same, diagonal=1).numpy()
        for row in np.flatnonzero(candidates.any(1)):
            first, unclaimed = start + int(row), originals[start:] == np.arange(start, len(images))
            others = start + np.flatnonzero(candidates[row] & unclaimed)
            if originals[first] == first and len(others):
                found = best_correlations(spectra[[first]].expand(len(others), -1, -1), spectra[others])
                originals[others[found.numpy() >= same]] = first
    return originals


def audit_duplicates(images: ImageSet, challenge: Challenge) -> Audit:
    """Count distinct images; warn where more than one in twenty is a copy of another one.

    A picture counts once over the whole set, for the class of its first copy. In another class a copy is as good as the
    same (`_SAME_ANYWHERE`), in its own it may be turned, mirrored, brightened, shifted or cropped as well.

    Numbers: `distinct_ipc` (distinct images over classes), `distinct`, `copies`, `across` (of these, those that repeat
    a picture of another class), `share` of copies; and to look at, positions of some copies (`repeats`) and of what
    they repeat (`repeated`), from as many classes as there are.
    """
    originals_N = originals(images, challenge)
    repeats = np.flatnonzero(originals_N != np.arange(len(images)))
    copies = len(repeats)
    across = int((images.labels[repeats] != images.labels[originals_N[repeats]]).sum())
    shown = repeats[np.linspace(0, copies - 1, min(_SHOWN, copies)).astype(int)]
    distinct, share = len(images) - copies, copies / len(images)
    numbers: dict[str, Number] = {
        "distinct_ipc": distinct / challenge.classes,
        "distinct": distinct,
        "copies": copies,
        "across": across,
        "share": share,
        "repeats": shown.tolist(),
        "repeated": originals_N[shown].tolist(),
    }
    told = f"{distinct:,} of {len(images):,} images are distinct ({distinct / challenge.classes:.1f} a class)"
    if share > _TOLERATED:
        told += "; the others repeat one of these, turned, mirrored, brightened, shifted or cropped"
        told += f", {across:,} of them one of another class" if across else ""
        return Audit("duplicates", "warn", told, numbers)
    return Audit("duplicates", "pass", told, numbers)


def originals(images: ImageSet, challenge: Challenge) -> NDArray[np.int64]:
    """For each image the first one that it repeats, int64 (N,), itself where it repeats none."""
    repeated = np.arange(len(images))[None].repeat(3, 0)
    cut = _SAME_CUT[challenge.name]
    aligned = AlignedSet(images.images) if cut <= 1 else None
    for label in np.unique(images.labels):
        members = np.flatnonzero(images.labels == label)
        repeated[0, members] = members[originals_within_class(images.images[members], _SAME[challenge.name])]
        if aligned is not None:
            repeated[1, members] = members[_repeated(aligned.earlier(members), cut)]
    repeated[2] = _repeated(ReferenceSet(images.images).earlier(), _SAME_ANYWHERE)
    positions = np.arange(len(images))
    ends = (np.tile(positions, 3), repeated.ravel())
    links = coo_array((np.ones(repeated.size, bool), ends), shape=(len(images), len(images)))
    components, group_N = connected_components(links, directed=False)
    first = np.full(components, len(images))
    np.minimum.at(first, group_N, positions)
    return first[group_N]


def _repeated(found: Nearest, same: float) -> NDArray[np.int64]:
    """int64 (N,): the place of the earlier picture that each one repeats, or its own."""
    return np.where(found.correlation >= same, found.index, np.arange(len(found.index)))
