"""The whole leaderboard: every run verified and reported, what does not count and why, and what else must be told."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path, PurePath

from evaluation.base.challenge import folder_safe
from evaluation.base.untrusted import printable
from harness.leaderboard.find import FoundRun
from harness.leaderboard.rows import Row, Run, make_rows
from harness.leaderboard.submissions import Judging, judging_of, submission_of
from harness.leaderboard.verify import Verified, verify
from harness.records.record import Record
from harness.records.run_folder import RunFolder
from harness.report.run_page import report_of

REPORTS = "reports"
# of a record's versions, those that decide accuracies
DECISIVE = ("torch", "numpy", "cuda")


@dataclass(frozen=True)
class NotCounted:
    """A run that has no row, and why in one sentence."""

    shown: str
    sentence: str


@dataclass(frozen=True)
class MadeWith:
    """A state of the code and its libraries, and how many of the runs were made with it."""

    commit: str
    versions: str
    runs: int


@dataclass(frozen=True)
class Board:
    """Everything that the site shows of runs."""

    rows: tuple[Row, ...]
    not_counted: tuple[NotCounted, ...]
    made_with: tuple[MadeWith, ...]


def make_board(found: Sequence[FoundRun], site: Path, older: Path, on_run: Callable[[int, int, str], None]) -> Board:
    """Verify every run and write a report of each that counts into `site/reports`.

    Args:
        older: the site that is replaced, whose reports of unchanged records are kept.
        on_run: called with how many are done, of how many, and the one that is next.
    """
    by_images: dict[tuple[str, str | None], list[Run]] = {}
    left_out: list[NotCounted] = []
    (site / REPORTS).mkdir(parents=True)
    for number, run in enumerate(found):
        on_run(number, len(found), run.shown)
        try:
            verified = verify(run)
            record = verified.record
            same = by_images.setdefault((record.dataset, record.images_hash), [])
            _check_new(record, same)
            report = _report_path(verified)
            if (older / report).is_file():
                shutil.copyfile(older / report, site / report)
            else:
                (site / report).write_text(_report(verified), encoding="utf-8")
        except ValueError as error:
            left_out.append(NotCounted(run.shown, _sentence(str(error))))
            continue
        same.append(Run(record, run.shown, report, verified.images is not None, _twin(record, same)))
    runs = [run for same in by_images.values() for run in same]
    return Board(tuple(make_rows(runs)), tuple(left_out), made_with([run.record for run in runs]))


def _sentence(text: str) -> str:
    return printable(text[:1].upper() + text[1:], longest=400)


def _check_new(record: Record, same: Sequence[Run]) -> None:
    """Raises ValueError where one of the runs with the same images is the same judgement of them."""
    mine = _judgement(record)
    for run in same:
        if _judgement(run.record) == mine:
            raise ValueError(f"it is the same judgement of the same images as {run.shown}")


def _judgement(record: Record) -> tuple[str, int, Judging]:
    assert record.accuracy is not None, "what counts was judged"
    return submission_of(record), record.accuracy.judge_seed, judging_of(record)


def _twin(record: Record, same: Sequence[Run]) -> str:
    """Another submission, found before, with the very same images; empty where there is none."""
    mine = submission_of(record)
    return next((other for run in same if (other := submission_of(run.record)) != mine), "")


def _report_path(verified: Verified) -> str:
    """Within the site; its last part changes with whatever the report shows."""
    record = verified.record
    told = f"{record.to_json()} {verified.images is not None}"
    mark = blake2b(told.encode(), digest_size=4).hexdigest()
    return f"{REPORTS}/{record.dataset}-{folder_safe(record.generator)}-seed{record.seed}-{mark}.html"


def _report(verified: Verified) -> str:
    """Made anew: a stranger's own page may hold anything, and real images are not ours to publish.

    Raises ValueError where none can be made.
    """
    command = [PurePath(word).name if word.startswith("/") else word for word in verified.record.command]
    record = verified.record.model_copy(update={"command": command})
    try:
        return report_of(RunFolder(verified.run.folder), record, verified.images, None, None, root=Path("RUN"))
    except Exception as error:  # one stranger's odd record does not cost everybody the page
        raise ValueError(f"no report can be made of its record: {type(error).__name__}") from None


def made_with(records: Sequence[Record]) -> tuple[MadeWith, ...]:
    """The most frequent state first."""
    counts = Counter((_commit(record), _versions(record)) for record in records)
    return tuple(MadeWith(commit, versions, runs) for (commit, versions), runs in counts.most_common())


def _commit(record: Record) -> str:
    if record.commit is None:
        return "unknown"
    return printable(record.commit[:12]) + ("+changes" if "+" in record.commit else "")


def _versions(record: Record) -> str:
    return printable(", ".join(f"{name} {record.versions[name]}" for name in DECISIVE if name in record.versions))
