"""Where tests find the real data sets, which are never part of the repository."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest

_NAMED = os.environ.get("SUBMISSION_DATA")  # read once: tests change the environment
_UNPACK = Path(__file__).parents[2] / "shared" / "data" / "unpack.py"


def real_data(*folders: str) -> Path:
    """The folder that holds `folders` (e.g. `cifar-100-python`); skips the test where there is none.

    It is SUBMISSION_DATA, or what the script beside the repository unpacks, once for all test processes.
    """
    root = Path(_NAMED) if _NAMED else _unpacked()
    missing = [folder for folder in folders if root is None or not (root / folder).is_dir()]
    if root is None or missing:
        pytest.skip(f"needs the real data: set SUBMISSION_DATA to a folder that holds {' and '.join(missing)}")
    return root


@cache
def _unpacked() -> Path | None:
    if not _UNPACK.is_file():
        return None
    root = Path(tempfile.gettempdir()) / "generative-distillation-test-data"
    root.mkdir(exist_ok=True)
    with (root / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run([sys.executable, str(_UNPACK), str(root)], check=True, stdout=subprocess.DEVNULL)
    return root
