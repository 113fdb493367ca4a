"""The challenge's own test files, `cifar100_test.pt` and `tinyimagenet_test.pt`: normalised floats with labels."""

from __future__ import annotations

from pathlib import Path

from evaluation.base.challenge import Challenge
from evaluation.base.images import NormalisedSet
from evaluation.formats.tensors import load_weights_only, to_normalised

_NAMES = {"cifar100": "cifar100_test.pt", "tiny-imagenet": "tinyimagenet_test.pt"}


def find(root: Path, challenge: Challenge) -> Path | None:
    """The challenge's test file in `root`, None where there is none."""
    name = _NAMES.get(challenge.name)
    return root / name if name and (root / name).is_file() else None


def load(file: Path, challenge: Challenge) -> NormalisedSet:
    """Read `images_val` (N, 3, H, W) and `labels_val` (N,).

    Raises:
        ValueError: the file holds anything else.
    """
    content = load_weights_only(file)
    if not isinstance(content, dict) or not {"images_val", "labels_val"} <= content.keys():
        raise ValueError(f"{file} is not a test file of the challenge: it holds no `images_val` and `labels_val`")
    return to_normalised(content["images_val"], content["labels_val"], challenge, str(file))
