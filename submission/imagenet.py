"""ImageNet's labels: 0 to 999, its WordNet ids in sorted order, which pretrained class-conditional models count by."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from evaluation.challenge import Challenge

CLASSES = 1000


@cache
def imagenet_wnids() -> tuple[str, ...]:
    """The 1,000 WordNet ids in label order."""
    return tuple((Path(__file__).parent / "imagenet_wnids.txt").read_text(encoding="utf-8").split())


def imagenet_labels(challenge: Challenge) -> tuple[int, ...]:
    """ImageNet's label for each label of `challenge`.

    Raises:
        ValueError: classes of the challenge are none of ImageNet's.
    """
    label_of = {wnid: label for label, wnid in enumerate(imagenet_wnids())}
    if not challenge.wnids or not all(wnid in label_of for wnid in challenge.wnids):
        raise ValueError(f"the classes of {challenge.name!r} are none of ImageNet's")
    return tuple(label_of[wnid] for wnid in challenge.wnids)
