"""Does every class have its share of images?"""

from __future__ import annotations

import numpy as np

from evaluation.audits.base.audit import Audit, Number, Status
from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet, NormalisedSet

_FEW, _MANY = 0.5, 2.0  # of the median, which one crowded class does not move
_FAILED_SHARE = 0.1  # of the classes without any image


def audit_balance(images: ImageSet | NormalisedSet, challenge: Challenge) -> Audit:
    """Warn where a class has no image, or less than half or more than twice the median; fail where a tenth has none.

    Numbers: `min`, `max`, `mean` images per class, `missing` (names of up to 20 classes without any), `short` and
    `crowded` (classes with too few and too many).
    """
    counts = np.bincount(images.labels, minlength=challenge.classes)
    mean = float(counts.mean())
    missing = np.flatnonzero(counts == 0)
    median = float(np.median(counts[counts > 0]))
    short = int((counts < _FEW * median).sum()) - len(missing)
    crowded = int((counts > _MANY * median).sum())
    numbers: dict[str, Number] = {
        "min": int(counts.min()),
        "max": int(counts.max()),
        "mean": mean,
        "missing": [challenge.folder_name(int(label)) for label in missing[:20]],
        "short": short,
        "crowded": crowded,
    }
    told = f"between {counts.min()} and {counts.max()} images a class, {mean:.1f} on average"
    status: Status = "pass"
    if len(missing):
        status = "fail" if len(missing) >= _FAILED_SHARE * challenge.classes else "warn"
        told += f"; {len(missing)} of {challenge.classes} classes have none"
    if short:
        status = status if status == "fail" else "warn"
        told += f"; {short} have less than half the median"
    if crowded:
        status = status if status == "fail" else "warn"
        told += f"; {crowded} have more than twice the median"
    return Audit("balance", status, told, numbers)
