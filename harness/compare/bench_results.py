"""What a benchmark found: a row for each run, a summary of each entry, differences of all pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from statistics import fmean

from evaluation.base.challenge import get_challenge
from evaluation.curve.real_equivalent import RealEquivalent, worth_of
from evaluation.judge.score import Score
from harness.compare.bench_plan import Cell, Plan
from harness.compare.comparison import Mean, mean_of
from harness.compare.sides import RECORD, Measured, by_seed, of_record
from harness.compare.statistics import Components, Difference, difference, holm, variance_components
from harness.records.record import Outcome, Record

NOT_STARTED, UNREADABLE = "not started", "unreadable"


@dataclass(frozen=True)
class Row:
    """One run. Accuracies are fractions, times seconds; None where a run has none.

    Attributes:
        outcome: of generation, `not started`, or `unreadable` where a record is there that is none.
        sentence: what went wrong; empty where nothing did.
        audits: names of those that failed.
        copying: it unpacks stored training images or near-copies of them, which is a league of its own.
        baseline: of as many random real images.
        goes_on: whether its clock has ended by itself, so that what is missing can be made up for.
    """

    name: str
    dataset: str
    budget_s: float
    seed: int
    folder: str
    outcome: str
    sentence: str
    accuracy: Score | None = None
    ipc: float | None = None
    distinct_ipc: float | None = None
    real_equivalent_ipc: float | None = None
    images_per_s: float | None = None
    used_s: float | None = None
    audits: tuple[str, ...] = ()
    copying: bool = False
    baseline: float | None = None
    goes_on: bool = False

    @property
    def done(self) -> bool:
        """Whether there is nothing more to do: it was judged, or its generator failed for good."""
        if self.ipc is not None:  # there are images to judge
            return self.accuracy is not None
        return self.outcome not in (NOT_STARTED, UNREADABLE, Outcome.INTERRUPTED)


@dataclass(frozen=True)
class Summary:
    """An entry on a data set with a budget, over its seeds.

    Attributes:
        mean: None where no run was judged.
        components: how much of the spread is the images' seed, how much the judge's; None for too few of either.
        worth: the mean in random real images per class; None without a measured curve.
        failed: runs without an accuracy.
    """

    name: str
    dataset: str
    budget_s: float
    mean: Mean | None
    components: Components | None
    worth: RealEquivalent | None
    distinct_ipc: float | None
    images_per_s: float | None
    used_s: float | None
    outcomes: Mapping[str, int]
    failed: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Pair:
    """B against A on a data set with a budget; `p_corrected` for the number of all pairs (Holm)."""

    a: str
    b: str
    dataset: str
    budget_s: float
    difference: Difference
    p_corrected: float | None


@dataclass(frozen=True)
class Results:
    """All of a benchmark; what is not done yet is missing."""

    plan: Plan
    rows: tuple[Row, ...]
    summaries: tuple[Summary, ...]
    pairs: tuple[Pair, ...]


def read_row(cell: Cell, root: Path, said: str = "") -> Row:
    """What the run's folder says of a cell; `said`: the last line that the run printed."""
    run = root / cell.folder
    about = (cell.name, cell.dataset, cell.budget_s, cell.seed, cell.folder)
    if not (run / RECORD).exists():
        return Row(*about, NOT_STARTED, said.removeprefix("Error: "))
    try:
        record = Record.load(run / RECORD)
    except ValueError as error:
        return Row(*about, UNREADABLE, str(error))
    failed = tuple(audit.name for audit in record.audits if audit.status == "fail")
    sentence = record.detail or ("" if record.accuracy else said.removeprefix("Error: "))
    return Row(
        *about,
        record.outcome.value,
        sentence,
        accuracy=record.accuracy,
        ipc=record.ipc.mean if record.ipc else None,
        distinct_ipc=record.ipc.distinct if record.ipc else None,
        real_equivalent_ipc=record.real_equivalent_ipc,
        images_per_s=record.throughput.images_per_s if record.throughput else None,
        used_s=record.clock.ended - record.clock.started if record.clock else None,
        audits=failed,
        copying=any(audit.numbers.get("league") == "copying" for audit in record.audits),
        baseline=record.baseline.accuracy.mean if record.baseline else None,
        goes_on=record.clock is not None and record.clock.ended_by != "interrupt",
    )


def gather(plan: Plan, rows: Sequence[Row], root: Path) -> Results:
    """Summaries and pairs of the runs so far."""
    groups: dict[tuple[str, float, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.dataset, row.budget_s, row.name), []).append(row)
    measured = {key: _measured(of, root) for key, of in groups.items()}
    summaries = tuple(_summary(of, measured[key]) for key, of in groups.items())
    return Results(plan, tuple(rows), summaries, tuple(_pairs(measured)))


def _measured(rows: Sequence[Row], root: Path) -> list[Measured]:
    records = (Record.load(root / row.folder / RECORD) for row in rows if row.accuracy)
    return [found[1] for found in map(of_record, records) if found]


def _summary(rows: Sequence[Row], measured: Sequence[Measured]) -> Summary:
    first = rows[0]
    judged = [row for row in rows if row.accuracy]
    mean = mean_of(measured) if measured else None
    epochs = judged[0].accuracy.epochs if judged and judged[0].accuracy else 0
    outcomes = {
        outcome: sum(row.outcome == outcome for row in rows) for outcome in sorted({row.outcome for row in rows})
    }
    notes = {f"audit failed: {', '.join(row.audits)}" for row in rows if row.audits}
    notes |= {"copying" for row in rows if row.copying} | {row.sentence for row in rows if row.sentence}
    return Summary(
        first.name,
        first.dataset,
        first.budget_s,
        mean,
        variance_components([list(each.rounds.values()) for each in measured]),
        worth_of(mean.accuracy, mean.ci95, epochs, get_challenge(first.dataset)) if mean else None,
        _mean([row.distinct_ipc for row in judged]),
        _mean([row.images_per_s for row in rows]),
        _mean([row.used_s for row in rows]),
        outcomes,
        len(rows) - len(judged),
        tuple(sorted(notes)),
    )


def _pairs(measured: Mapping[tuple[str, float, str], Sequence[Measured]]) -> list[Pair]:
    found = []
    for ((dataset, budget_s, name_a), a), ((other, other_s, name_b), b) in combinations(measured.items(), 2):
        if (dataset, budget_s) == (other, other_s) and a and b:
            off = difference(by_seed(a), by_seed(b))
            found.append(Pair(name_a, name_b, dataset, budget_s, off, off.p))
    corrected = iter(holm([pair.p_corrected for pair in found if pair.p_corrected is not None]))
    return [pair if pair.p_corrected is None else replace(pair, p_corrected=next(corrected)) for pair in found]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
