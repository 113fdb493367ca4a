"""Files that were copied or downloaded half are found before they are loaded."""

from __future__ import annotations

import json
from pathlib import Path
from zipfile import is_zipfile


def is_whole(path: Path) -> bool:
    """Whether weights have their end, and JSON is JSON; no tensor is read, and other files are not looked into."""
    try:
        if path.suffix == ".safetensors":
            return _whole_safetensors(path)
        if path.suffix == ".bin":
            return is_zipfile(path)
        if path.suffix == ".json":
            json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return True


def _whole_safetensors(path: Path) -> bool:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np"):
            return True
    except SafetensorError:
        return False
