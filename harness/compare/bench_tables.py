"""What a benchmark found, for people: tables, sentences, CSV and Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict

from evaluation.base.durations import show_duration
from evaluation.judge.protocol import FULL_EPOCHS, FULL_ROUNDS
from harness.compare.bench_plan import Plan
from harness.compare.bench_results import Pair, Results, Row, Summary
from harness.report.sentences import format_interval, format_number, percent

# those of the columns that a terminal has room for
NARROW = ("entry", "data set", "budget", "accuracy", "95% interval", "IPC", "seconds", "outcome")
COLUMNS = (
    *("entry", "data set", "budget", "accuracy", "95% interval", "n", "IPC", "distinct IPC", "real-equivalent IPC"),
    *("images/s", "seconds", "outcome"),
)


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
