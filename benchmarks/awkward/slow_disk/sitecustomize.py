"""Slows the worker's disk down: Python imports this by itself where its folder is on PYTHONPATH.

SLOW_DISK=latency:0.1 lets each file wait 0.1 s, however many there are at once, as a far file system does;
SLOW_DISK=throughput:0.02 gives a file each 0.02 s and no more.
"""

import os
import sys
import time
from pathlib import Path
from threading import Lock

_kind, _, _seconds = os.environ.get("SLOW_DISK", "").partition(":")
_replace, _one_at_a_time = Path.replace, Lock()


def _slow_replace(self: Path, target: str | Path) -> Path:
    if str(target).endswith(".png"):
        if _kind == "throughput":
            with _one_at_a_time:
                time.sleep(float(_seconds))
        else:
            time.sleep(float(_seconds))
    return _replace(self, target)


if _kind and "submission.worker.worker" in sys.orig_argv:
    Path.replace = _slow_replace  # type: ignore[method-assign, assignment]
