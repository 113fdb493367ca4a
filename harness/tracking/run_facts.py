"""What of a run goes to an experiment tracker: parameters, metrics, tags and files, the same for every tracker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.records.record import Record
from harness.records.run_folder import RunFolder

_SEVERITY = {"pass": 0.0, "warn": 1.0, "fail": 2.0}


@dataclass(frozen=True)
class RunFacts:
    """One run.

    Attributes:
        name: of its folder.
        params: what was asked for, as text.
        metrics: what came of it; accuracies are fractions, times are seconds, `audit.*` is 0 (pass), 1 (warn) or 2
            (fail). What is not known is left out.
        rounds: the accuracy of each round of the judge.
        tags: what runs are found by.
        files: those of its record and report that are there.
    """

    name: str
    params: dict[str, str]
    metrics: dict[str, float]
    rounds: tuple[float, ...]
    tags: dict[str, str]
    files: tuple[Path, ...]


def run_facts(folder: RunFolder, record: Record) -> RunFacts:
    """The facts of the run in `folder`."""
    score = record.accuracy
    params: dict[str, object] = {
        "dataset": record.dataset,
        "generator": record.generator,
        "seed": record.seed,
        "budget_s": record.budget_s,
        "steps": record.plan.steps,
        "batch_size": record.plan.batch_size,
        **{f"settings.{name}": value for name, value in record.settings.items()},
    }
    if score:
        params |= {"epochs": score.epochs, "engine": score.engine, "judge_seed": score.judge_seed}
    return RunFacts(
        name=folder.root.name,
        params={name: str(value) for name, value in params.items() if value is not None},
        metrics=_metrics(record),
        rounds=score.rounds if score else (),
        tags={
            "dataset": record.dataset,
            "generator": record.generator,
            "outcome": record.outcome.value,
            "commit": record.commit or "unknown",
            "protocol": "not judged" if score is None else "preview" if score.preview else "full",
        },
        files=tuple(path for path in (folder.record, folder.report) if path.is_file()),
    )


def _metrics(record: Record) -> dict[str, float]:
    score, ipc, clock = record.accuracy, record.ipc, record.clock
    found: dict[str, float | None] = {"images": record.images}
    if score:
        low, high = score.ci95 or (None, None)
        found |= {"accuracy": score.mean, "accuracy.std": score.std, "accuracy.low": low, "accuracy.high": high}
        found["real_equivalent_ipc"] = record.real_equivalent_ipc
    if record.baseline:
        found["real_images.accuracy"] = record.baseline.accuracy.mean
    if ipc:
        found |= {"ipc": ipc.mean, "ipc.distinct": ipc.distinct}
    if clock:
        found["seconds"] = clock.ended - clock.started
        found |= {f"seconds.{phase}": seconds for phase, seconds in clock.ledger.by_phase.items()}
    if record.throughput:
        found["images_per_s"] = record.throughput.images_per_s
    found |= {f"audit.{audit.name}": _SEVERITY[audit.status] for audit in record.audits}
    return {name: float(value) for name, value in found.items() if value is not None}
