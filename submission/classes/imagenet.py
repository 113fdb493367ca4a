"""ImageNet's labels: 0 to 999, its WordNet ids in sorted order, which pretrained class-conditional models count by."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from evaluation.base.challenge import Challenge
from submission.contract.seeded import uniform

CLASSES = 1000
SKIP = 1  # of a seed's sequence the first number chooses; an image's noise begins after it
_NEAREST = {"cifar100": "imagenet_cifar100.txt"}  # challenge -> its classes in ImageNet's; the file says how to read it


@cache
def imagenet_wnids() -> tuple[str, ...]:
    """The 1,000 WordNet ids in label order."""
    return tuple((Path(__file__).parent / "imagenet_wnids.txt").read_text(encoding="utf-8").split())


def imagenet_labels(challenge: Challenge) -> tuple[int, ...]:
    """ImageNet's label for each label of `challenge`. Raises ValueError if some of its classes are not ImageNet's."""
    label_of = {wnid: label for label, wnid in enumerate(imagenet_wnids())}
    if not challenge.wnids or not all(wnid in label_of for wnid in challenge.wnids):
        raise ValueError(f"the classes of {challenge.name!r} are none of ImageNet's")
    return tuple(label_of[wnid] for wnid in challenge.wnids)


@dataclass(frozen=True)
class Counterpart:
    """An ImageNet class (`label`, `wnid`, `name`) for a challenge's class: the `same`, a kind of it, or the nearest."""

    class_name: str
    same: bool
    label: int
    wnid: str
    name: str


@cache
def counterparts(challenge_name: str) -> tuple[Counterpart, ...]:
    """The table of a challenge whose classes are not ImageNet's own. Raises ValueError if it has none."""
    if challenge_name not in _NEAREST:
        raise ValueError(
            f"the classes of {challenge_name!r} have no counterparts in ImageNet; choose another generator"
        )
    text = (Path(__file__).parent / _NEAREST[challenge_name]).read_text(encoding="utf-8")
    rows = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return tuple(Counterpart(name, mark == "=", int(label), wnid, what) for name, mark, label, wnid, what in rows)


def imagenet_choices(challenge: Challenge) -> tuple[tuple[int, ...], ...]:
    """ImageNet's labels, at least one, for each label of `challenge`. Raises ValueError if there are none."""
    if challenge.wnids:
        return tuple((label,) for label in imagenet_labels(challenge))
    table = counterparts(challenge.name)
    return tuple(tuple(row.label for row in table if row.class_name == name) for name in challenge.class_names)


class LabelChoice:
    """The model's label of each image: where several stand for the image's label, its seed chooses, each as often."""

    def __init__(self, choices: Sequence[Sequence[int]], device: str) -> None:
        """`choices` holds the model's labels, one at least, for each label of the challenge."""
        assert all(choices), "every label has a counterpart"
        self.count_C = torch.tensor([len(labels) for labels in choices], device=device)
        self.first_C = self.count_C.cumsum(0) - self.count_C
        self.labels_N = torch.tensor([label for labels in choices for label in labels], device=device)

    def __call__(self, labels_B: Tensor, seeds_B: Tensor) -> Tensor:
        """int64 (B,), on the device that the choices are on, as are the labels and the seeds."""
        place_B = (uniform(seeds_B, SKIP)[:, 0] * self.count_C[labels_B]).long()
        return self.labels_N[self.first_C[labels_B] + place_B]
