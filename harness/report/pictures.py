"""The report's pictures: generated images beside real ones, what the audits point at, what the generator has to show.

Pictures are uint8 (H, W, 3), RGB; `picture_uri` makes a data URI of one.
"""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.audits.audit import Audit, Number
from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet
from evaluation.base.untrusted import UnreadableFileError, read_regular
from submission.contract.exhibit import Exhibit, ExhibitRow

Picture = NDArray[np.uint8]

# images of a class in a row of the gallery
GENERATED, REAL = 8, 4
# up to this height a picture is stored without loss: it is shown enlarged, pixel by pixel
LOSSLESS_SIZE = 32
# of an exhibit
MAX_BYTES = 8 * 2**20
MAX_ROWS = 16
MAX_SIDE = 2048


@dataclass(frozen=True)
class GalleryRow:
    """One class: its first generated and its first real training images, None where there are none."""

    label: int
    name: str
    count: int
    generated_HWC: Picture | None
    real_HWC: Picture | None

    @property
    def filled(self) -> float:
        """How much of its strip the generated images fill, a fraction; the rest stays empty so that all rows align."""
        if self.generated_HWC is None:
            return 0.0
        height, width, _ = self.generated_HWC.shape
        return width / height / GENERATED


@dataclass(frozen=True)
class Pairs:
    """Generated images above those they are like."""

    title: str
    below: str  # what stands below
    real: bool  # whether these are real images
    generated_HWC: Picture
    others_HWC: Picture
    count: int


def gallery(generated: ImageSet, real: ImageSet | None, challenge: Challenge) -> list[GalleryRow]:
    """A row per class."""
    return [
        GalleryRow(
            label=label,
            name=name.replace("_", " "),
            count=int((generated.labels == label).sum()),
            generated_HWC=_of_class(generated, label, GENERATED),
            real_HWC=_of_class(real, label, REAL) if real is not None else None,
        )
        for label, name in enumerate(challenge.class_names)
    ]


def _of_class(images: ImageSet, label: int, count: int) -> Picture | None:
    chosen = np.flatnonzero(images.labels == label)[:count]
    if not len(chosen):
        return None
    return side_by_side(images, chosen)


def side_by_side(images: ImageSet, positions: Sequence[int] | NDArray[np.int64]) -> Picture:
    """The images at these positions in one row."""
    return np.concatenate(images.images[list(positions)].transpose(0, 2, 3, 1), axis=1)


def audited_pairs(
    audits: Sequence[Audit], generated: ImageSet, train: ImageSet | None, test: ImageSet | None
) -> list[Pairs]:
    """Copies of test images, closest training images and repeats, as far as the audits name any.

    Args:
        generated: the run's images, in the order that the audits counted them in.
        train, test: the real splits; what needs one that is None is left out.
    """
    numbers = {name: value for audit in audits for name, value in audit.numbers.items()}
    found = []
    for title, below, ours, theirs, others in (
        ("Copies of test images", "the real test image", "copied", "copied_test", test),
        ("The closest to training images", "the real training image", "closest", "closest_training", train),
        ("Repeated images", "what it repeats", "repeats", "repeated", generated),
    ):
        at, beside = positions(numbers, ours), positions(numbers, theirs)
        if others is not None and at and _are_there(at, generated) and _are_there(beside, others):
            upper, lower = side_by_side(generated, at), side_by_side(others, beside)
            found.append(Pairs(title, below, others is not generated, upper, lower, len(at)))
    return found


def _are_there(positions: Sequence[int], images: ImageSet) -> bool:
    """Whether there are pictures at these positions: a record may be of other images than those at hand."""
    return bool(positions) and min(positions) >= 0 and max(positions) < len(images)


def positions(numbers: Mapping[str, Number], name: str) -> list[int]:
    """The list of whole numbers that an audit gives under `name`; empty where it gives none."""
    found = numbers.get(name)
    return [each for each in found if isinstance(each, int)] if isinstance(found, list) else []


def read_exhibit(path: Path) -> Exhibit | None:
    """What the generator had to show, read without trusting it; None where there is none, or none that can be shown."""
    try:
        told = json.loads(read_regular(path, MAX_BYTES))
        rows = tuple(ExhibitRow(str(row["title"]), _decoded(row["picture"])) for row in told["rows"][:MAX_ROWS])
        return Exhibit(str(told["title"]), str(told["caption"]), rows)
    except (UnreadableFileError, OSError, ValueError, SyntaxError, KeyError, TypeError, RecursionError):
        return None


def _decoded(png: str) -> Picture:
    """A PNG in base64. Raises ValueError, OSError or SyntaxError for anything else."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(base64.b64decode(png)), formats=["PNG"]) as picture:
            if max(picture.size) > MAX_SIDE:
                raise ValueError(f"a picture of {picture.size} pixels is too large to show")
            return np.asarray(picture.convert("RGB"))
    except Image.DecompressionBombError as error:
        raise ValueError("a picture is too large to show") from error


def picture_uri(picture_HWC: Picture) -> str:
    """A picture as a data URI: WebP, without loss where it is small."""
    from PIL import Image

    buffer = io.BytesIO()
    lossless = picture_HWC.shape[0] <= LOSSLESS_SIZE
    Image.fromarray(picture_HWC).save(buffer, "WEBP", lossless=lossless, quality=80 if lossless else 82)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
