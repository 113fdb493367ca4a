"""The report's pictures: a strip of generated images beside a strip of real ones, for each class."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet

GENERATED, REAL = 8, 4
# up to this size a strip is stored without loss: it is shown enlarged, pixel by pixel
LOSSLESS_SIZE = 32


@dataclass(frozen=True)
class GalleryRow:
    """One class: its strips as data URIs, None where there is no image."""

    label: int
    name: str
    count: int
    generated: str | None
    real: str | None


def gallery(generated: ImageSet, real: ImageSet | None, challenge: Challenge) -> list[GalleryRow]:
    """A row per class: its first generated images and its first real training images."""
    return [
        GalleryRow(
            label=label,
            name=name.replace("_", " "),
            count=int((generated.labels == label).sum()),
            generated=_strip(generated, label, GENERATED),
            real=_strip(real, label, REAL) if real is not None else None,
        )
        for label, name in enumerate(challenge.class_names)
    ]


def _strip(images: ImageSet, label: int, count: int) -> str | None:
    chosen = np.flatnonzero(images.labels == label)[:count]
    if not len(chosen):
        return None
    size = images.images.shape[2]
    strip_HWC = np.full((size, count * size, 3), 255, np.uint8)  # white where a class has fewer, so that all align
    strip_HWC[:, : len(chosen) * size] = np.concatenate(images.images[chosen].transpose(0, 2, 3, 1), axis=1)
    return picture_uri(strip_HWC)


def picture_uri(picture_HWC: NDArray[np.uint8]) -> str:
    """A picture as a data URI, without loss where it is small."""
    from PIL import Image

    buffer = io.BytesIO()
    lossless = picture_HWC.shape[0] <= LOSSLESS_SIZE
    Image.fromarray(picture_HWC).save(buffer, "WEBP", lossless=lossless, quality=80 if lossless else 82)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
