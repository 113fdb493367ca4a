"""The user's cache of downloads, decoded data sets, profiles and checkpoints.

Everything works without it, and says so once: what belongs there then lies in a folder that goes with the process.
"""

import atexit
import os
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path

_NAME = "generative-distillation"
_SHARED_MEMORY = Path("/dev/shm")  # writable in most containers whose other folders are read-only


def cache_folder() -> Path:
    """Where to keep what is worth keeping: `generative-distillation` in the user's cache, or a folder for now."""
    kept = kept_cache()
    return kept if kept and _can_be_written(kept) else _for_now(str(kept) if kept else None)


def cache_folders() -> list[Path]:
    """Where to look for what was kept: `cache_folder()`, and the user's cache where that can only be read."""
    here, kept = cache_folder(), kept_cache()
    return [here, kept] if kept and kept != here and os.access(kept, os.R_OK | os.X_OK) else [here]


def kept_cache() -> Path | None:
    """The user's cache, there or not: under XDG_CACHE_HOME or the home folder; None without either."""
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / _NAME
    try:
        return Path.home() / ".cache" / _NAME
    except RuntimeError:  # no HOME, and a user without an entry in the password file
        return None


def _can_be_written(folder: Path) -> bool:
    """Whether `folder` can be, or could be made and, written to."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)  # noqa: PTH112 - it never raises


@cache
def _for_now(kept: str | None) -> Path:
    """A folder that is removed at the end of this process; `kept` itself, or none, where nothing can be written."""
    why = f"{kept} cannot be written" if kept else "there is no home folder"
    for place in (None, _SHARED_MEMORY):
        try:
            folder = Path(tempfile.mkdtemp(prefix=f"{_NAME}-", dir=place))
        except OSError:
            continue
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        # matplotlib keeps its list of fonts beside the cache, and without a place says so in several lines
        fonts = os.environ.get("MPLCONFIGDIR")
        if not fonts or not _can_be_written(Path(fonts)):
            os.environ["MPLCONFIGDIR"] = str(folder / "matplotlib")
        _say(f"{why}, so downloads, decoded data and profiles are not kept")
        return folder
    _say(f"{why}, nor is there a folder for temporary files, so nothing is kept")
    return Path(kept or "/nowhere")


def _say(what: str) -> None:
    print(f"Note: {what}; set XDG_CACHE_HOME to a folder that can be written.", file=sys.stderr)
