"""The verdict of `regress`: a new measurement against the baseline, row by row and in all."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from math import prod
from statistics import fmean

from harness.compare.baseline import Measurement
from harness.compare.statistics import Difference, difference, holm, power, rounds_needed, spread_of

ALPHA = 0.05  # of each one-sided test
WANTED_POWER = 0.9
# images per class within the clock, and images per second, of one run each: smaller losses are taken for noise
SPEED_MARGIN = 0.2


class Verdict(StrEnum):
    """What a row says."""

    PASSED = "passed"
    IMPROVED = "improved"
    REGRESSION = "regression"
    NOT_ENOUGH_EVIDENCE = "not enough evidence"
    NOT_COMPARED = "not compared"


@dataclass(frozen=True)
class Row:
    """One thing that is compared.

    Attributes:
        name: `accuracy at IPC 5`, `mean accuracy`, `images per class`.
        before, after: as people read them.
        difference: of accuracies; None for others.
        sentence: why the verdict is what it is.
    """

    name: str
    before: str
    after: str
    verdict: Verdict
    sentence: str
    difference: Difference | None = None


@dataclass(frozen=True)
class Gate:
    """All rows and what they come to.

    Attributes:
        sentences: how sure the gate is: power and the rounds that smaller drops would take.
    """

    rows: tuple[Row, ...]
    verdict: Verdict
    sentences: tuple[str, ...]


def judge_gate(
    before: Measurement, after: Measurement, min_accuracy: float | None = None, throughput: bool = False
) -> Gate:
    """Compare two measurements of a task.

    A regression is a mean accuracy that is lower by more than the margin and by more than chance, an accuracy at one
    IPC that is shown to be lower by more than the margin (there chance is larger), fewer images per class, an accuracy
    at the highest IPC below `min_accuracy`, or with `throughput` fewer images per second. It has passed
    when the mean accuracy is shown to be no worse than the margin.

    Args:
        min_accuracy: percent.

    Raises:
        ValueError: one of them was taken without the machine's speed, which `throughput` needs.
    """
    margin = before.task.margin / 100
    reached = [ipc for ipc in before.task.ipc if ipc in before.scores and ipc in after.scores]
    compared = []
    for ipc in reached:
        a, b = before.rounds(ipc), after.rounds(ipc)
        compared.append((f"accuracy at IPC {ipc}", difference(a, b), a, b))
    if len(reached) > 1:
        a, b = (mean_rounds(measured, reached) for measured in (before, after))
        compared.append(("mean accuracy", difference(a, b), a, b))
    # one IPC alone has to show that the drop exceeds the margin, their mean only that there is one
    bounds = [-margin] * len(compared)
    bounds[-1:] = [0.0] * len(bounds[-1:])
    tested = [off.p_not_below(bound) for (_, off, _, _), bound in zip(compared, bounds, strict=True)]
    drops = holm([1.0 if p is None else p for p in tested])
    rows = [
        replace(_accuracy_row(name, off, margin, drop), before=_percent(a), after=_percent(b))
        for (name, off, a, b), drop in zip(compared, drops, strict=True)
    ]
    main = rows[-1] if rows else None
    rows += [_lost(ipc, after) for ipc in before.task.ipc if ipc in before.scores and ipc not in after.scores]
    rows.append(_ipc_row(before, after))
    if min_accuracy is not None:
        rows.append(_floor_row(after, min_accuracy))
    if throughput:
        rows.append(_throughput_row(before, after))
    sentences = _power_sentences(*compared[-1][2:], margin, len(reached) > 1) if compared else []
    return Gate(tuple(rows), _in_all(rows, main), tuple(sentences))


def mean_rounds(measured: Measurement, ipc: list[int]) -> dict[Hashable, float]:
    """For each round the mean of its accuracies over `ipc`: rounds at several IPCs share their initial weights."""
    rounds = [measured.rounds(each) for each in ipc]
    return {seed: fmean(of_ipc[seed] for of_ipc in rounds) for seed in rounds[0]}


def _accuracy_row(name: str, off: Difference, margin: float, p_drop: float) -> Row:
    points, allowed = 100 * off.estimate, 100 * margin
    p_worse = off.p_not_below(-margin)
    if off.identical:
        verdict, why = Verdict.PASSED, "every round has the accuracy that it had"
    elif off.error is None or p_worse is None:
        verdict, why = Verdict.NOT_ENOUGH_EVIDENCE, "one round on a side has no spread; take two rounds at least"
    elif off.estimate < -margin and p_drop < ALPHA:
        verdict, why = Verdict.REGRESSION, f"{points:+.2f} points, more than the {allowed:g} allowed; p = {p_drop:.2g}"
    elif 1 - p_worse < ALPHA:
        improved = off.ci95 is not None and off.ci95[0] > 0
        verdict = Verdict.IMPROVED if improved else Verdict.PASSED
        why = f"{points:+.2f} points; a drop of {allowed:g} is ruled out, p = {1 - p_worse:.2g}"
    else:
        verdict = Verdict.NOT_ENOUGH_EVIDENCE
        why = f"{points:+.2f} points; neither a drop of {allowed:g} nor its absence is shown"
    return Row(name, "", "", verdict, why, off)


def _lost(ipc: int, after: Measurement) -> Row:
    why = f"the run left {after.least} images in some class, so it cannot be judged there"
    return Row(f"accuracy at IPC {ipc}", "measured", "–", Verdict.REGRESSION, why)


def _ipc_row(before: Measurement, after: Measurement) -> Row:
    told = ("images per class", f"{before.ipc:.4g}", f"{after.ipc:.4g}")
    if "clock" not in (before.ended_by, after.ended_by):
        fewer = after.least < before.least or after.ipc < before.ipc
        verdict = Verdict.REGRESSION if fewer else Verdict.PASSED
        why = f"fewer than before; the fewest of a class: {before.least}, now {after.least}" if fewer else "as before"
        return Row(*told, verdict, why)
    if before.ended_by == "clock" and before.machine.get("label") != after.machine.get("label"):
        return Row(*told, Verdict.NOT_COMPARED, "the clock ended the baseline's run on another machine")
    if after.ipc >= (1 - SPEED_MARGIN) * before.ipc:
        return Row(*told, Verdict.PASSED, f"within {100 * SPEED_MARGIN:.0f}% of the baseline's")
    why = f"more than {100 * SPEED_MARGIN:.0f}% fewer within the clock"
    return Row(*told, Verdict.REGRESSION, why)


def _floor_row(after: Measurement, min_accuracy: float) -> Row:
    if not after.scores:
        return Row("lowest allowed accuracy", f"{min_accuracy:g}%", "–", Verdict.REGRESSION, "nothing was judged")
    ipc = max(after.scores)
    accuracy = 100 * after.scores[ipc].mean
    verdict = Verdict.PASSED if accuracy >= min_accuracy else Verdict.REGRESSION
    return Row(
        f"lowest allowed accuracy at IPC {ipc}", f"{min_accuracy:g}%", f"{accuracy:.2f}%", verdict, "by --min-accuracy"
    )


def _throughput_row(before: Measurement, after: Measurement) -> Row:
    if before.calibration is None or after.calibration is None:
        raise ValueError(
            "the baseline was taken without the machine's speed, so images per second cannot be compared; write it"
            " again with --update --throughput"
        )
    parts = [after.calibration[part] / before.calibration[part] for part in before.calibration]
    machine = prod(parts) ** (1 / len(parts))
    ratio = after.images_per_s / before.images_per_s / machine
    verdict = Verdict.REGRESSION if ratio < 1 - SPEED_MARGIN else Verdict.PASSED
    why = f"{ratio:.2f} times as fast on a machine of {machine:.2f} times the speed; {1 - SPEED_MARGIN:g} is allowed"
    told = ("images per second", f"{before.images_per_s:.3g}", f"{after.images_per_s:.3g}")
    return Row(*told, verdict, why)


def _in_all(rows: list[Row], main: Row | None) -> Verdict:
    """A regression anywhere; else what the mean accuracy says."""
    if any(row.verdict is Verdict.REGRESSION for row in rows):
        return Verdict.REGRESSION
    return main.verdict if main else Verdict.NOT_ENOUGH_EVIDENCE


def _power_sentences(
    a: Mapping[Hashable, float], b: Mapping[Hashable, float], margin: float, several: bool
) -> list[str]:
    """How many rounds it takes to see a drop of so many points at the spread that was found."""
    # of the baseline alone where the rounds are the same, as on the same machine with the same seeds
    spread = spread_of(a, b) or spread_of(a, {"other": 0.0})
    if not spread:
        return []
    paired, rounds = a.keys() == b.keys(), min(len(a), len(b))
    of = "the mean accuracy" if several else "the accuracy"
    share = power(rounds, spread, margin, ALPHA, paired) if rounds > 1 else ALPHA
    needed = {
        drop: rounds_needed(spread, drop, ALPHA, WANTED_POWER, paired) for drop in (margin / 2, margin, 2 * margin)
    }
    told = ", ".join(f"{100 * drop:g} points {count or 'over 1,000'}" for drop, count in needed.items())
    return [
        f"Spread of a difference of two rounds of {of}: {100 * spread:.2f} points. With {rounds} rounds a drop of"
        f" {100 * margin:g} points is ruled out in {100 * share:.0f}% of the cases in which nothing changed.",
        f"Rounds needed to see a drop with a power of {100 * WANTED_POWER:.0f}%: {told}.",
    ]


def _percent(values: Mapping[Hashable, float]) -> str:
    return f"{100 * fmean(values.values()):.2f}%"
