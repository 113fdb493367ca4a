"""What a generator has to show of how it works, for the report of a run: a few pictures, a row for a class."""

import base64
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.base.files import write_text


@dataclass(frozen=True)
class ExhibitRow:
    """One picture, uint8, RGB, and what it is of."""

    title: str
    picture_HWC: NDArray[np.uint8]


@dataclass(frozen=True)
class Exhibit:
    """Pictures with a title and one sentence on what they show."""

    title: str
    caption: str
    rows: tuple[ExhibitRow, ...]

    def save(self, path: Path) -> None:
        """Write JSON with the pictures in it as PNG, whole or not at all."""
        rows = [{"title": row.title, "picture": _png(row.picture_HWC)} for row in self.rows]
        content = {"title": self.title, "caption": self.caption, "rows": rows}
        write_text(path, json.dumps(content))


def _png(picture_HWC: NDArray[np.uint8]) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture_HWC).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()
