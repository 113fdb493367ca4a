"""Whether a run may count: its record is one, adds up, and is of the images that lie beside it.

Nothing here can prove that a run happened as its record says; it finds what was changed, mixed up or left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose
from pathlib import Path
from statistics import fmean

from evaluation.base.challenge import get_challenge
from evaluation.base.images import ImageSet
from evaluation.base.untrusted import UnreadableFileError, read_regular
from evaluation.judge.protocol import Protocol
from evaluation.judge.score import Score
from harness.leaderboard.find import RECORD, FoundRun
from harness.records.record import ClockPart, Outcome, Record
from harness.records.run_folder import RunFolder
from harness.run.collect import collect
from harness.run.options import is_name

MOST_BYTES = 64 << 20  # of a record
_CLOCK_S = 0.05  # what its times may differ by through rounding


@dataclass(frozen=True)
class Verified:
    """A run that counts.

    Attributes:
        images: those of the record's hash, None where the folder has none any more: the run cannot be verified.
    """

    run: FoundRun
    record: Record
    images: ImageSet | None


def verify(run: FoundRun) -> Verified:
    """Raises ValueError, one sentence without the run's folder, where the run does not count."""
    record = _load(run.folder / RECORD)
    check_record(record)
    images = RunFolder(run.folder).images
    return Verified(run, record, _images(images, record) if images.is_dir() and any(images.iterdir()) else None)


def _load(path: Path) -> Record:
    try:
        read_regular(path, MOST_BYTES)
    except UnreadableFileError as error:
        raise ValueError(f"its record cannot be read: {error.reason}") from None
    try:
        return Record.load(path)
    except ValueError as error:
        raise ValueError(f"its record {str(error).removeprefix(f'{path} ')}") from None


def check_record(record: Record) -> None:
    """Raises ValueError where a record that can be true cannot stand in the table, or contradicts itself."""
    challenge = get_challenge(record.dataset)
    if not is_name(record.generator):
        raise ValueError("its generator's name is none: letters, digits, dots, dashes and underscores, 64 at most")
    if record.accuracy is None:
        how = "" if record.outcome is Outcome.OK else f"; its generation ended as {record.outcome.value}"
        raise ValueError(f"it was not judged{how}{f': {record.detail}' if record.detail else ''}")
    if record.clock is None or record.ipc is None or record.images_hash is None:
        raise ValueError("it has an accuracy, but no clock, no images per class or no hash of its images")
    if not isclose(record.ipc.mean * challenge.classes, record.images, abs_tol=0.01):
        raise ValueError(
            f"its record contradicts itself: {record.images:,} images are not {record.ipc.mean:g} per class"
        )
    if (record.ipc.distinct or 0.0) > record.ipc.mean + 0.01:
        raise ValueError("its record contradicts itself: more distinct images than images")
    _check_score(record.accuracy)
    _check_clock(record.clock, record.budget_s)


def _check_score(score: Score) -> None:
    if not isclose(fmean(score.rounds), score.mean, abs_tol=1e-9):
        raise ValueError(
            f"its record contradicts itself: the accuracy {score.mean:.4f} is not the mean of its rounds,"
            f" {fmean(score.rounds):.4f}"
        )
    if score.epochs < 1 or score.passes != Protocol(score.epochs).passes:
        raise ValueError(
            f"its judge followed another protocol: {score.passes:,} passes are not those of {score.epochs:,} epochs"
        )


def _check_clock(clock: ClockPart, budget_s: float) -> None:
    used_s = clock.ended - clock.started
    if not isclose(clock.deadline - clock.started, budget_s, abs_tol=_CLOCK_S):
        raise ValueError(
            f"its record contradicts itself: the deadline came after {clock.deadline - clock.started:.1f} s, the budget"
            f" was {budget_s:g} s"
        )
    if not isclose(clock.ledger.total, used_s, abs_tol=_CLOCK_S):
        raise ValueError(
            f"its record contradicts itself: the ledger adds up to {clock.ledger.total:.1f} s of {used_s:.1f} s"
        )


def _images(folder: Path, record: Record) -> ImageSet:
    found = collect(folder, get_challenge(record.dataset))
    if found.pixels is None:
        raise ValueError("nothing in its images/ can be read as images of its classes")
    if found.images_hash != record.images_hash:
        raise ValueError(
            f"its images are not those that its record is of: {found.count:,} images with the hash"
            f" {str(found.images_hash)[:12]}, not {record.images:,} with {str(record.images_hash)[:12]}"
        )
    return found.pixels
