"""What a benchmark found: a row for each run, a summary of each entry, differences of all pairs; CSV and Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from statistics import fmean

from evaluation.base.challenge import get_challenge
from evaluation.base.durations import show_duration
from evaluation.curve.real_equivalent import RealEquivalent, worth_of
from evaluation.judge.protocol import FULL_EPOCHS, FULL_ROUNDS
from evaluation.judge.score import Score
from harness.compare.bench_plan import Cell, Plan
from harness.compare.comparison import Mean, mean_of
from harness.compare.sides import RECORD, Measured, by_seed, of_record
from harness.compare.statistics import Components, Difference, difference, holm, variance_components
from harness.records.record import Outcome, Record
from harness.report.sentences import format_interval, format_number, percent

NOT_STARTED, UNREADABLE = "not started", "unreadable"
# those of the columns that a terminal has room for
NARROW = ("entry", "data set", "budget", "accuracy", "95% interval", "IPC", "seconds", "outcome")
COLUMNS = (
    *("entry", "data set", "budget", "accuracy", "95% interval", "n", "IPC", "distinct IPC", "real-equivalent IPC"),
    *("images/s", "seconds", "outcome"),
)


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


def cells_of(found: Summary) -> tuple[str, ...]:
    """A summary in the order of `COLUMNS`."""

    def number(value: float | None) -> str:
        return "–" if value is None else format_number(value)

    mean, worth = found.mean, found.worth
    above = f"> {worth.highest:g}" if worth else "–"
    outcomes = ", ".join(
        f"{outcome} {count}" if len(found.outcomes) > 1 else outcome for outcome, count in found.outcomes.items()
    )
    return (
        found.name,
        found.dataset,
        f"{found.budget_s:g} s",
        percent(mean.accuracy) if mean else "–",
        format_interval(mean.ci95) if mean else "–",
        f"{mean.n} {mean.unit}" if mean else "–",
        number(mean.ipc) if mean else "–",
        number(found.distinct_ipc),
        number(worth.ipc) if worth and worth.ipc is not None else above,
        number(found.images_per_s),
        number(found.used_s),
        outcomes,
    )


def narrow(found: Summary) -> tuple[str, ...]:
    """A summary in the order of `NARROW`."""
    return tuple(cell for name, cell in zip(COLUMNS, cells_of(found), strict=True) if name in NARROW)


def preview_sentence(plan: Plan) -> str:
    """What is less than in the challenge; empty where nothing is."""
    if plan.epochs >= FULL_EPOCHS and plan.rounds >= FULL_ROUNDS:
        return ""
    return f"A preview: {plan.epochs:,} epochs, rounds: {plan.rounds}."


def ranked(summaries: Sequence[Summary]) -> list[Summary]:
    """By data set and budget, the best first."""
    return sorted(
        summaries, key=lambda each: (each.dataset, each.budget_s, -each.mean.accuracy if each.mean else 1.0, each.name)
    )


def markdown(results: Results) -> str:
    """The table, what went wrong and the differences of pairs."""
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    summaries = ranked(results.summaries)
    lines += [f"| {' | '.join(cells_of(each))} |" for each in summaries] + [""]
    lines += [f"{sentence}\n"] if (sentence := preview_sentence(results.plan)) else []
    lines += [f"- {each.name} ({each.dataset}): {note}" for each in summaries for note in each.notes]
    lines += [f"- {sentence}" for sentence in [*component_sentences(summaries), *pair_sentences(results.pairs)]]
    return "\n".join(lines) + "\n"


def component_sentences(summaries: Sequence[Summary]) -> list[str]:
    """How much of an entry's spread is the images' seed, how much the judge's."""
    return [
        f"{each.name} ({each.dataset}): spread by the images' seed {100 * parts.between_images:.2f} points, by the"
        f" judge's {100 * parts.within_images:.2f}; p = {parts.p:.2g} that the seeds' images are worth the same"
        for each in summaries
        if (parts := each.components)
    ]


def pair_sentences(pairs: Sequence[Pair]) -> list[str]:
    """The difference of each pair."""
    return [
        f"{pair.b} - {pair.a} ({pair.dataset}, {show_duration(pair.budget_s)}):"
        f" {100 * pair.difference.estimate:+.2f} points {format_interval(pair.difference.ci95, signed=True)}"
        + (f", p = {pair.p_corrected:.2g} (Holm)" if pair.p_corrected is not None else "")
        for pair in pairs
    ]


def table_csv(rows: Sequence[Row]) -> str:
    """Every run as a line; accuracies as fractions, its rounds separated by spaces."""
    names = ["name", "dataset", "budget_s", "seed", "outcome", "accuracy", "ci95_low", "ci95_high", "rounds", "epochs"]
    names += ["ipc", "distinct_ipc", "real_equivalent_ipc", "images_per_s", "used_s", "baseline", "copying", "sentence"]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*names, "folder"], lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for row in rows:
        told = asdict(row)
        if score := row.accuracy:
            low, high = score.ci95 or (None, None)
            rounds = " ".join(f"{accuracy:.6g}" for accuracy in score.rounds)
            told |= {
                "accuracy": score.mean,
                "ci95_low": low,
                "ci95_high": high,
                "rounds": rounds,
                "epochs": score.epochs,
            }
        writer.writerow(told)
    return text.getvalue()
