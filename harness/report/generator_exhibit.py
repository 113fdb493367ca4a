"""What a generator left in the run's folder to be shown, read without trusting it: `contract.exhibit` writes it."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluation.base.untrusted import UnreadableFileError, read_regular
from harness.report.pictures import picture_uri

MOST_BYTES = 8 * 2**20
MOST_ROWS = 16
MOST_PIXELS = 2048  # of a side of a picture


@dataclass(frozen=True)
class ShownRow:
    """A picture as a data URI, made anew from the pixels of the one in the file."""

    title: str
    picture: str


@dataclass(frozen=True)
class ShownExhibit:
    """Pictures with a title and one sentence on what they show."""

    title: str
    caption: str
    rows: tuple[ShownRow, ...]


def read_exhibit(path: Path) -> ShownExhibit | None:
    """The exhibit in `path`; None where there is none, or none that can be shown."""
    try:
        told = json.loads(read_regular(path, MOST_BYTES))
        rows = tuple(ShownRow(str(row["title"]), _picture(row["picture"])) for row in told["rows"][:MOST_ROWS])
        return ShownExhibit(str(told["title"]), str(told["caption"]), rows)
    except (UnreadableFileError, OSError, ValueError, SyntaxError, KeyError, TypeError, RecursionError):
        return None


def _picture(png: str) -> str:
    """A PNG in base64 as a data URI. Raises ValueError or OSError for anything else."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(base64.b64decode(png)), formats=["PNG"]) as picture:
            if max(picture.size) > MOST_PIXELS:
                raise ValueError(f"a picture of {picture.size} pixels is too large to show")
            return picture_uri(np.asarray(picture.convert("RGB")))
    except Image.DecompressionBombError as error:
        raise ValueError("a picture is too large to show") from error
