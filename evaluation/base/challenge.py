"""Challenges: a data set, its class names in label order, its normalisation and its budget.

Numbers are from the challenge's public evaluation code; see `docs/protocol.md`.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_CLASSES = Path(__file__).parent / "classes"


@dataclass(frozen=True)
class Challenge:
    """One data set with its budget.

    Attributes:
        name: what `--dataset` takes.
        title: the name for people.
        class_names, wnids: lower-case names and WordNet ids in label order; no ids where the data set has none.
        size: height and width of an image, pixels.
        mean, std: per RGB channel, of pixel values scaled to [0, 1].
        budget_s: wall-clock seconds from process start to the last file on disk.
        ipc_cap: images per class at which a run stops unless told otherwise, so that judging stays affordable.
    """

    name: str
    title: str
    class_names: tuple[str, ...]
    wnids: tuple[str, ...]
    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    budget_s: float
    ipc_cap: int

    @property
    def classes(self) -> int:
        return len(self.class_names)

    @property
    def chance(self) -> float:
        """Accuracy of a guess, a fraction."""
        return 1.0 / self.classes

    def folder_name(self, label: int) -> str:
        """The class folder of `label`, e.g. `001-aquarium_fish`."""
        return f"{label:03d}-{folder_safe(self.class_names[label])}"


def folder_safe(name: str) -> str:
    """`name` in lower case with each run of anything but letters and digits as one `_`."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _lines(file: str) -> tuple[str, ...]:
    return tuple((_CLASSES / file).read_text(encoding="utf-8").split("\n")[:-1])


@cache
def challenges() -> dict[str, Challenge]:
    """Every challenge by name."""
    tiny = [line.split(" ") for line in _lines("tiny-imagenet.txt")]
    known = (
        Challenge(
            name="cifar100",
            title="CIFAR-100",
            class_names=_lines("cifar100.txt"),
            wnids=(),
            size=32,
            mean=(0.5071, 0.4866, 0.4409),
            std=(0.2673, 0.2564, 0.2762),
            budget_s=600.0,
            ipc_cap=1000,
        ),
        Challenge(
            name="tiny-imagenet",
            title="Tiny-ImageNet",
            class_names=tuple(name for _, name in tiny),
            wnids=tuple(wnid for wnid, _ in tiny),
            size=64,
            mean=(0.485, 0.456, 0.406),
            std=(0.229, 0.224, 0.225),
            budget_s=600.0,
            ipc_cap=500,
        ),
        Challenge(
            name="digits",
            title="Digits",
            class_names=tuple(str(digit) for digit in range(10)),
            wnids=(),
            size=32,
            mean=(0.3094, 0.3094, 0.3094),  # of the training split; tests/evaluation/data/test_datasets.py holds it
            std=(0.3487, 0.3487, 0.3487),
            budget_s=60.0,
            ipc_cap=40,
        ),
    )
    return {challenge.name: challenge for challenge in known}


def get_challenge(name: str) -> Challenge:
    """The challenge called `name`. Raises ValueError where there is none; the sentence lists those there are."""
    if name not in challenges():
        raise ValueError(f"there is no data set {name!r}; choose one of: {', '.join(challenges())}")
    return challenges()[name]


def superclasses(challenge: Challenge) -> dict[str, tuple[int, ...]]:
    """The labels of each superclass by its name, in the order of the data set's own table; empty where it has none.

    CIFAR-100's table of 20 superclasses of 5 classes is that of its web page and of `coarse_label_names` in its files.
    """
    file = f"{challenge.name}-superclasses.txt"
    if not (_CLASSES / file).exists():
        return {}
    lines = [line.partition(": ") for line in _lines(file)]
    return {name: tuple(map(challenge.class_names.index, members.split(" "))) for name, _, members in lines}
