"""What `--set` can change of a selection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from submission.contract.precision import check_precision
from submission.contract.settings import whole_number
from submission.patches.crops import DEFAULT_SIDES, parse_sides

NAMES = ("candidates", "draws", "patch", "clusters", "block", "batch", "precision")


@dataclass(frozen=True)
class SelectionSettings:
    """How much is looked at, and how.

    Attributes:
        candidates: training images looked at per class, chosen at random.
        draws: timesteps, each with a noise of its own, that a loss difference is the mean of.
        sides: side lengths that a patch may have, as shares of the image's; 1 is the whole image.
        clusters: k-means clusters of a class.
        block: name of the network's block whose output describes a patch; None for the model's own choice.
        batch: images at once; the network sees each twice.
        precision: a key of `PRECISIONS`; None for the fastest.
    """

    candidates: int
    draws: int
    sides: tuple[float, ...]
    clusters: int
    block: str | None
    batch: int
    precision: str | None

    @classmethod
    def parse(cls, settings: Mapping[str, str]) -> SelectionSettings:
        """Raises ValueError for a value that a setting cannot take."""
        return cls(
            candidates=whole_number(settings, "candidates", 100, 1, 100_000),
            draws=whole_number(settings, "draws", 4, 1, 1000),
            sides=parse_sides(settings.get("patch", DEFAULT_SIDES)),
            clusters=whole_number(settings, "clusters", 10, 1, 1000),
            block=settings.get("block"),
            batch=whole_number(settings, "batch", 32, 1, 4096),
            precision=check_precision(settings),
        )
