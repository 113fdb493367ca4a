"""How many images of a class are really different ones? Turned, mirrored and brightened copies count once."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from evaluation.audits.audit import Audit, Number
from evaluation.audits.polar import best_correlations, correlation_bounds, ring_spectra
from evaluation.challenge import Challenge
from evaluation.images import ImageSet

# Correlation at the best turn from which two pictures of a class count as one. Of real images, 100 a class, these call
# 0.1% (CIFAR-100), less than 0.05% (Tiny-ImageNet) and 0.2% (digits) copies; of images after the third place's
# augmentation (turns up to 60 degrees, mirroring, brightness, contrast, gamma) they know 97%, 98% and 92% again.
_SAME = {"cifar100": 0.975, "tiny-imagenet": 0.975, "digits": 0.99}
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
    """Count distinct images; warn where more than one in twenty is a copy of another one of its class.

    Numbers: `distinct_ipc` (mean over all classes), `distinct`, `copies`, `share` of copies; and to look at, positions
    of some copies (`repeats`) and of what they repeat (`repeated`), from as many classes as there are.
    """
    originals_N = np.empty(len(images), np.int64)
    for label in np.unique(images.labels):
        members = np.flatnonzero(images.labels == label)
        originals_N[members] = members[originals_within_class(images.images[members], _SAME[challenge.name])]
    repeats = np.flatnonzero(originals_N != np.arange(len(images)))
    copies = len(repeats)
    shown = repeats[np.linspace(0, copies - 1, min(_SHOWN, copies)).astype(int)]
    distinct, share = len(images) - copies, copies / len(images)
    numbers: dict[str, Number] = {
        "distinct_ipc": distinct / challenge.classes,
        "distinct": distinct,
        "copies": copies,
        "share": share,
        "repeats": shown.tolist(),
        "repeated": originals_N[shown].tolist(),
    }
    told = f"{distinct:,} of {len(images):,} images are distinct ({distinct / challenge.classes:.1f} a class)"
    if share > _TOLERATED:
        return Audit(
            "duplicates", "warn", f"{told}; the others repeat one of these, turned, mirrored or brightened", numbers
        )
    return Audit("duplicates", "pass", told, numbers)
