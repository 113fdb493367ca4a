"""Where the runs lie in what somebody names: folders of runs, or folders of those."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

RECORD = "record.json"
DEEPEST = 3  # folders below what was named: a collection of benchmarks holds BENCH/runs/RUN
_NO_RUNS = {"images", "logs"}


@dataclass(frozen=True)
class FoundRun:
    """The folder of a run.

    Attributes:
        shown: its path from what was named on, which says nothing of where that lies.
    """

    folder: Path
    shown: str


def find_runs(paths: Sequence[Path]) -> list[FoundRun]:
    """Every run in `paths`, each once, in order of name within each path.

    Raises ValueError for a path that is not there or holds no run.
    """
    found: dict[Path, FoundRun] = {}
    for path in paths:
        if not path.exists():
            raise ValueError(f"there is no folder {path}; give the folder of a run, or one that holds runs")
        top = path.parent if path.name == RECORD else path
        runs = [FoundRun(folder, _shown(top, folder)) for folder in _below(top, DEEPEST)]
        if not runs:
            raise ValueError(f"there is no run in {path}; give the folder of a run, or one that holds runs")
        for run in runs:
            found.setdefault(run.folder.resolve(), run)
    return list(found.values())


def _shown(top: Path, folder: Path) -> str:
    return str(Path(top.resolve().name) / folder.relative_to(top))


def _below(folder: Path, depth: int) -> Iterator[Path]:
    """Folders with a record, none inside another; links within what was named are not followed."""
    if (folder / RECORD).exists():
        yield folder
    elif depth and folder.is_dir():
        for each in sorted(folder.iterdir()):
            if each.is_dir() and not each.is_symlink() and each.name not in _NO_RUNS and each.name[0] != ".":
                yield from _below(each, depth - 1)
