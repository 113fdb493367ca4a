"""Does every class have a similar number of images, and were files left out when they were read?"""

import numpy as np

from evaluation.audits.audit import Finding, Number, Status, worst
from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet, NormalisedSet
from evaluation.submitted.folder import FolderContents

_FEW, _MANY = 0.5, 2.0  # multiples of the median, which a single crowded class does not move
_NAMED = 3  # names of what is not an image in a sentence
_FAILED_FRACTION = 0.1  # of the classes, without any image; of all files, left out


def audit_balance(images: ImageSet | NormalisedSet, challenge: Challenge) -> Finding:
    """Warn if a class has no image, or less than half or more than twice the median; fail if a tenth has none.

    Numbers: `min`, `max`, `mean` images per class, `missing` (names of up to 20 classes without any), `short` and
    `crowded` (classes with too few and too many).
    """
    counts = np.bincount(images.labels, minlength=challenge.classes)
    missing = np.flatnonzero(counts == 0)
    median = float(np.median(counts[counts > 0]))
    short = int((counts < _FEW * median).sum()) - len(missing)
    crowded = int((counts > _MANY * median).sum())
    evidence = f"between {counts.min()} and {counts.max()} images per class, {counts.mean():.1f} on average"
    statuses: list[Status] = ["pass"]
    if len(missing):
        statuses.append("fail" if len(missing) >= _FAILED_FRACTION * challenge.classes else "warn")
        evidence += f"; {len(missing)} of {challenge.classes} classes have none"
    for count, relation in ((short, "less than half"), (crowded, "more than twice")):
        if count:
            statuses.append("warn")
            evidence += f"; {count} have {relation} the median"
    numbers: dict[str, Number] = {
        "min": int(counts.min()),
        "max": int(counts.max()),
        "mean": float(counts.mean()),
        "missing": [challenge.folder_name(int(label)) for label in missing[:20]],
        "short": short,
        "crowded": crowded,
    }
    return Finding(worst(statuses), evidence, numbers)


def audit_files(contents: FolderContents) -> Finding:
    """Warn if files were left out, fail if more than a tenth was; what was never an image is told, and does not count.

    Numbers: `dropped`, `half_written` of these, `reasons` (each with its count), `first` (ten paths with reasons);
    `not_images`, and `first_not_images` (ten paths with reasons).
    """
    dropped = sum(contents.dropped_reasons.values())
    numbers: dict[str, Number] = {
        "dropped": dropped,
        "half_written": contents.half_written,
        "reasons": [f"{reason}: {count}" for reason, count in contents.dropped_reasons.items()],
        "first": [f"{entry.path}: {entry.reason}" for entry in contents.dropped[:10]],
        "not_images": contents.not_images_count,
        "first_not_images": [f"{entry.path}: {entry.reason}" for entry in contents.not_images[:10]],
    }
    beside = _beside(contents)
    if not dropped:
        return Finding("pass", f"all {len(contents.images):,} files were complete and readable{beside}", numbers)
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in list(contents.dropped_reasons.items())[:3])
    half = f", {contents.half_written:,} of them half-written" if contents.half_written else ""
    many = dropped > _FAILED_FRACTION * (dropped + len(contents.images))
    evidence = f"{dropped:,} file{'s were' if dropped > 1 else ' was'} left out ({reasons}){half}{beside}"
    return Finding("fail" if many else "warn", evidence, numbers)


def _beside(contents: FolderContents) -> str:
    """What lay beside the images, as the end of a sentence; empty for nothing."""
    if not contents.not_images_count:
        return ""
    names = list(dict.fromkeys(entry.path.rpartition("/")[2] for entry in contents.not_images))
    more = ", ..." if len(names) > _NAMED else ""
    return f"; {contents.not_images_count:,} beside them are not images ({', '.join(names[:_NAMED])}{more})"
