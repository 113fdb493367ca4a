"""What was changed after the deadline does not count, though it was before the last process was dead."""

import math
import os
import time
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from harness.clock.supervisor import Ending

# File systems stamp changes with a clock (CLOCK_REALTIME_COARSE) that stands between ticks: on a busy machine it was
# seen 15 ms behind. So a change stamped this shortly before the deadline may have come after it.
STAMPS_LAG_S = 0.02
_CLOCK_WAS_SET_S = 0.1
_OTHER_CLOCK_S = 1.0


def last_moment(ending: Ending, folder: Path | None = None) -> float:
    """UNIX seconds up to which a file's change (its ctime, which no program can set) was before the deadline.

    Infinite where nothing was killed at the deadline, or the wall clock was set during the run.

    Args:
        folder: where the files lie, where that may be another machine's disk with a clock of its own.
    """
    if ending.reason != "deadline":
        return math.inf
    offset = time.time() - time.monotonic()
    if abs(offset - (ending.started_at.timestamp() - ending.started)) > _CLOCK_WAS_SET_S:
        return math.inf
    return offset + ending.deadline - STAMPS_LAG_S + (_clock_error(folder) if folder else 0.0)


def remove_late(folder: Path, until: float) -> int:
    """Remove the regular files below `folder` that were changed after `until`; how many. Links are not followed."""
    removed = 0
    if until == math.inf or folder.is_symlink():
        return removed
    for place, _, names in os.walk(folder):
        for name in names:
            file = os.path.join(place, name)  # noqa: PTH118 - pathlib would take most of the time
            with suppress(OSError):
                if os.lstat(file).st_ctime > until:
                    os.unlink(file)  # noqa: PTH108
                    removed += 1
    return removed


def late_note(files: int) -> str:
    """One sentence on files that do not count."""
    return f"{files:,} files were changed after the deadline, or too shortly before it to tell; they do not count"


def _clock_error(folder: Path) -> float:
    """Seconds by which the clock that stamps files in `folder` is ahead of this machine's; 0 where it is the same."""
    with suppress(OSError), NamedTemporaryFile(dir=folder) as probe:
        error = os.fstat(probe.fileno()).st_ctime - time.time()
        return error if abs(error) > _OTHER_CLOCK_S else 0.0
    return 0.0
