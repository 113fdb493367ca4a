"""Weights files that were copied or downloaded half are found before they are loaded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from zipfile import is_zipfile


def check_whole(files: Iterable[Path]) -> None:
    """Look at the ends of weights files; no tensor is read.

    Raises:
        ValueError: a `.safetensors` or `.bin` file lacks its end, or is none.
    """
    for file in files:
        if not (_whole_safetensors(file) if file.suffix == ".safetensors" else is_zipfile(file)):
            raise ValueError(f"{file} is damaged or was copied only half; copy it again")


def _whole_safetensors(file: Path) -> bool:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="np"):
            return True
    except (SafetensorError, OSError):
        return False
