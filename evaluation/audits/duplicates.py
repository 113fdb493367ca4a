"""How many images are really distinct?

Within a class, rotated, mirrored, brightened, shifted and cropped copies count once; across classes only copies that
are practically identical, mirrored or not.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from evaluation.audits.audit import Finding, Number
from evaluation.audits.matching.alignment import AlignedSet
from evaluation.audits.matching.nearest import Nearest, ReferenceSet
from evaluation.audits.matching.rotation import best_correlations, correlation_bounds, ring_spectra
from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet

# Correlation at the best rotation from which two images of a class count as one. Of real images, 100 per class, these
# call 0.1% (CIFAR-100), less than 0.05% (Tiny-ImageNet) and 0.2% (digits) copies; of images after the third place's
# augmentation (rotations up to 60 degrees, mirroring, brightness, contrast, gamma) they recognise 97%, 98% and 92%.
_SAME_ROTATED = {"cifar100": 0.975, "tiny-imagenet": 0.975, "digits": 0.99}
# Correlation from which a shifted or cropped image of a class counts as one with another (`matching/alignment.py`),
# above 1 where images are too simple for that. Of real images, 100 per class, it calls 0.4% more copies (CIFAR-100,
# where they are the same photographs cropped differently) and, 50 per class, 0.02% (Tiny-ImageNet). Of all of
# CIFAR-100, 500 per class, 2.3% count as copies by all three criteria together.
_SAME_SHIFTED = {"cifar100": 0.94, "tiny-imagenet": 0.92, "digits": 2.0}
# Correlation from which images of any classes do (`matching/nearest.py`): no real ones of two classes at 100 per class,
# 18 of the 50,000 of all of CIFAR-100.
_SAME_ANYWHERE = 0.995
_TOLERATED = 0.05  # fraction of copies
_SHOWN = 8  # copies that the report shows
_ROWS = 1024  # images compared with their class at a time


def audit_duplicates(images: ImageSet, challenge: Challenge) -> Finding:
    """Count distinct images; warn if more than one in twenty is a copy of another one.

    A picture counts once over the whole set, for the class of its first copy. A copy in another class is practically
    identical (`_SAME_ANYWHERE`); one in the same class may be rotated, mirrored, brightened, shifted or cropped too.

    Numbers: `distinct_ipc` (distinct images over classes), `distinct`, `copies`, `across` (of these, copies of a
    picture of another class), `share` (copies over images); and to look at, positions of some copies (`repeats`) and of
    their originals (`repeated`), from as many classes as possible.
    """
    originals_N = originals(images, challenge)
    repeats = np.flatnonzero(originals_N != np.arange(len(images)))
    copies = len(repeats)
    across = int((images.labels[repeats] != images.labels[originals_N[repeats]]).sum())
    shown = repeats[np.linspace(0, copies - 1, min(_SHOWN, copies)).astype(int)]
    distinct, fraction = len(images) - copies, copies / len(images)
    numbers: dict[str, Number] = {
        "distinct_ipc": distinct / challenge.classes,
        "distinct": distinct,
        "copies": copies,
        "across": across,
        "share": fraction,
        "repeats": shown.tolist(),
        "repeated": originals_N[shown].tolist(),
    }
    evidence = f"{distinct:,} of {len(images):,} images are distinct ({distinct / challenge.classes:.1f} per class)"
    if fraction <= _TOLERATED:
        return Finding("pass", evidence, numbers)
    evidence += "; the others repeat one of these, rotated, mirrored, brightened, shifted or cropped"
    evidence += f", {across:,} of them one of another class" if across else ""
    return Finding("warn", evidence, numbers)


def originals(images: ImageSet, challenge: Challenge) -> NDArray[np.int64]:
    """For each image the first one that it repeats, int64 (N,), itself where it repeats none."""
    positions = np.arange(len(images))
    repeated = positions[None].repeat(3, 0)  # by each criterion
    least = _SAME_SHIFTED[challenge.name]
    aligned = AlignedSet(images.images) if least <= 1 else None
    for label in np.unique(images.labels):
        members = np.flatnonzero(images.labels == label)
        repeated[0, members] = members[originals_within_class(images.images[members], _SAME_ROTATED[challenge.name])]
        if aligned is not None:
            repeated[1, members] = members[_repeated(aligned.earlier(members, least), least)]
    repeated[2] = _repeated(ReferenceSet(images.images).earlier(), _SAME_ANYWHERE)
    ends = (np.tile(positions, 3), repeated.ravel())
    links = coo_array((np.ones(repeated.size, bool), ends), shape=(len(images), len(images)))
    components, group_N = connected_components(links, directed=False)
    first = np.full(components, len(images))
    np.minimum.at(first, group_N, positions)
    return first[group_N]


def originals_within_class(images: NDArray[np.uint8], least: float) -> NDArray[np.int64]:
    """For each image of a class the earlier one that it repeats, rotated, mirrored, brighter or with other contrast.

    Args:
        images: uint8 (N, 3, H, W), H and W multiples of 32.
        least: correlation from which two images count as one.

    Returns:
        int64 (N,), itself where it repeats none; images of a single colour count as copies of each other.
    """
    spectra = ring_spectra(images)
    flat = (spectra.abs().amax((1, 2)) == 0).numpy()
    originals = np.where(flat, flat.argmax(), np.arange(len(images)))
    for start in range(0, len(images), _ROWS):
        bounds = correlation_bounds(spectra[start : start + _ROWS], spectra[start:])
        candidates = torch.triu(bounds >= least, diagonal=1).numpy()
        for row in np.flatnonzero(candidates.any(1)):
            first, unclaimed = start + int(row), originals[start:] == np.arange(start, len(images))
            others = start + np.flatnonzero(candidates[row] & unclaimed)
            if originals[first] == first and len(others):
                found = best_correlations(spectra[[first]].expand(len(others), -1, -1), spectra[others])
                originals[others[found.numpy() >= least]] = first
    return originals


def _repeated(found: Nearest, least: float) -> NDArray[np.int64]:
    """int64 (N,): the position of the earlier image that each one repeats, or its own."""
    return np.where(found.correlation >= least, found.index, np.arange(len(found.index)))
