"""The rows of the leaderboard: a submission on a data set, or its score over the challenge's two; ranked by track."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from statistics import fmean
from typing import Any, Literal

from evaluation.audits.audit import CANNOT_TELL
from evaluation.judge.score import accuracy_interval
from harness.leaderboard.submissions import Judging, Track, judging_of, submission_of, track_of
from harness.records.challenge_score import mean_of_means
from harness.records.record import Outcome, Record
from harness.run.options import CHALLENGES

SCORE = "score"
NO_SCORE = (
    "No submission has runs on both CIFAR-100 and Tiny-ImageNet in one track, so there is no challenge score yet."
)
Tone = Literal["bad", "warn", "plain"]


@dataclass(frozen=True)
class Run:
    """A run that counts.

    Attributes:
        shown: where it lay, from what was named on.
        report: the path of its report within the site.
        verified: its images were there, and are those of its record's hash.
        twin: another submission that left the very same images; empty where none did.
    """

    record: Record
    shown: str
    report: str
    verified: bool
    twin: str = ""

    @property
    def mean(self) -> float:
        assert self.record.accuracy is not None, "what counts was judged"
        return self.record.accuracy.mean


@dataclass(frozen=True)
class Mark:
    """What a reader must know of a row: a word or two, and the sentence behind it."""

    tone: Tone
    word: str
    sentence: str


@dataclass(frozen=True)
class Row:
    """One line.

    Attributes:
        view: the data set, or `score`.
        accuracy: the mean over runs, or of both data sets; a fraction.
        values: what the mean is of: runs, or the rounds where there is one run; empty for a score.
        ci95: of the mean, by Student's t; None for a single value.
        ipc, distinct_ipc, used_s, images_per_s: means over runs, None where unknown or for a score.
        unranked: why it has no rank, in words that follow "not ranked:"; empty where it has one.
        parts: of a score: its rows.
    """

    submission: str
    view: str
    track: Track
    judging: Judging
    accuracy: float
    values: tuple[float, ...]
    ci95: tuple[float, float] | None
    runs: tuple[Run, ...]
    ipc: float | None = None
    distinct_ipc: float | None = None
    used_s: float | None = None
    images_per_s: float | None = None
    marks: tuple[Mark, ...] = ()
    unranked: tuple[str, ...] = ()
    parts: tuple[Row, ...] = field(default=())
    rank: int | None = None

    @property
    def generators(self) -> tuple[str, ...]:
        """Those of its runs that its name does not tell."""
        name = self.submission.partition(" (")[0]
        return tuple(sorted({run.record.generator for run in self.runs} - {name}))

    @property
    def unit(self) -> str:
        """What `values` are."""
        return "round" if len(self.runs) == 1 else "run"


def make_rows(runs: Sequence[Run]) -> list[Row]:
    """All rows, scores first; within a view by track, the ranked before the others, the best first."""
    of_key: dict[Any, list[Run]] = {}
    for run in runs:
        of_key.setdefault(_key(run), []).append(run)
    singles = [_row(of) for of in of_key.values()]
    rows = [*_scores(singles), *singles]
    views = [SCORE, *CHALLENGES, *sorted({row.view for row in rows})]
    ranked = [each for _, group in groupby(sorted(rows, key=_rivals), _rivals) for each in _ranked(list(group))]
    return sorted(
        ranked,
        key=lambda row: (views.index(row.view), row.track.order, row.rank is None, -row.accuracy, row.submission),
    )


def lacks_score(rows: Sequence[Row]) -> bool:
    """Whether a data set of the challenge is there, and no submission that has both."""
    views = {row.view for row in rows}
    return SCORE not in views and not views.isdisjoint(CHALLENGES)


def _rivals(row: Row) -> tuple[Any, ...]:
    return row.view, row.track.order


def _key(run: Run) -> tuple[str, str, Track, Judging, bool]:
    record = run.record
    return record.dataset, submission_of(record), track_of(record), judging_of(record), run.verified


def _row(runs: Sequence[Run]) -> Row:
    dataset, submission, track, judging, _ = _key(runs[0])
    records = [run.record for run in runs]
    values = tuple(run.mean for run in runs)
    if len(runs) == 1 and (score := records[0].accuracy):
        values = score.rounds
    marks = _marks(runs)
    reasons = [mark.word for mark in marks if mark.tone == "bad"]
    reasons += [] if judging.full else [judging.words]
    return Row(
        submission,
        dataset,
        track,
        judging,
        fmean(values),
        values,
        accuracy_interval(values),
        tuple(runs),
        ipc=_mean([record.ipc.mean for record in records if record.ipc]),
        distinct_ipc=_mean([record.ipc.distinct for record in records if record.ipc]),
        used_s=_mean([record.clock.ended - record.clock.started for record in records if record.clock]),
        images_per_s=_mean([record.throughput.images_per_s for record in records if record.throughput]),
        marks=marks,
        unranked=tuple(reasons),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None


def _marks(runs: Sequence[Run]) -> tuple[Mark, ...]:
    """Each once, the worst first; those that are bad cost the rank."""
    found: dict[tuple[str, str], Mark] = {}
    for run in runs:
        for mark in [*_audit_marks(run.record), *_other_marks(run)]:
            found.setdefault((mark.tone, mark.word), mark)
    tones: tuple[Tone, ...] = ("bad", "warn", "plain")
    return tuple(sorted(found.values(), key=lambda mark: tones.index(mark.tone)))


def _audit_marks(record: Record) -> list[Mark]:
    if not record.audits:
        return [Mark("bad", "not audited", "its record holds no audits")]
    tones: dict[str, Tone] = {"fail": "bad", "warn": "warn", CANNOT_TELL: "plain"}
    return [
        Mark(tones[found], f"{audit.name.replace('_', ' ')}: {found}", audit.evidence)
        for audit in record.audits
        if (found := audit.verdict if audit.status == "pass" else audit.status) in tones
    ]


def _other_marks(run: Run) -> list[Mark]:
    found, record = [], run.record
    if not run.verified:
        found.append(Mark("bad", "unverified", "its images are not there any more, so their hash cannot be checked"))
    if run.twin:
        found.append(Mark("warn", f"same images as {run.twin}", "every pixel and label is the same"))
    if record.settings.get("trust"):
        found.append(Mark("warn", "not shut in", "its program could reach network, processes and data: --trust"))
    if record.outcome is not Outcome.OK and record.outcome is not Outcome.DEADLINE_TRUNCATED:
        found.append(Mark("warn", record.outcome.value.replace("_", " "), record.detail or "its images count"))
    return found


def _scores(rows: Sequence[Row]) -> list[Row]:
    """The challenge's score of every submission that has both data sets, each by the most complete judging it has."""
    best: dict[tuple[str, Track], dict[str, Row]] = {}
    for row in rows:
        of = best.setdefault((row.submission, row.track), {})
        if row.view not in of or _completeness(row) > _completeness(of[row.view]):
            of[row.view] = row
    return [_score([of[name] for name in CHALLENGES]) for of in best.values() if of.keys() >= set(CHALLENGES)]


def _completeness(row: Row) -> tuple[bool, Judging]:
    return not row.unranked, row.judging


def _score(parts: Sequence[Row]) -> Row:
    marks = {(mark.tone, mark.word): mark for part in parts for mark in part.marks}
    accuracy, ci95 = mean_of_means([part.values for part in parts])
    return Row(
        parts[0].submission,
        SCORE,
        parts[0].track,
        min(part.judging for part in parts),
        accuracy,
        (),
        ci95,
        tuple(run for part in parts for run in part.runs),
        marks=tuple(marks.values()),
        unranked=tuple(dict.fromkeys(reason for part in parts for reason in part.unranked)),
        parts=tuple(parts),
    )


def _ranked(rows: Sequence[Row]) -> Iterator[Row]:
    """The rows of one track in one view, equal accuracies with equal ranks."""
    competing = sorted(-row.accuracy for row in rows if not row.unranked)
    for row in rows:
        yield row if row.unranked else replace(row, rank=1 + bisect_left(competing, -row.accuracy))
