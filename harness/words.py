"""The sentences that terminal and report share."""

from __future__ import annotations

from evaluation.durations import show_duration
from harness.record import AccuracyPart, ClockPart, Outcome, PlanPart, Record

OUTCOMES = {
    Outcome.OK: "ended by itself before the deadline",
    Outcome.DEADLINE_TRUNCATED: "was still running at the deadline and was killed; what was whole by then counts",
    Outcome.CRASHED: "ended with an error; what was whole by then counts",
    Outcome.OUT_OF_MEMORY: "ran out of memory; what was whole by then counts",
    Outcome.NO_IMAGES: "left no whole image",
    Outcome.INVALID_OUTPUT: "left an output folder that cannot be read as labelled images",
    Outcome.INTERRUPTED: "was stopped by hand before it was done",
}

ENDED_BY = {
    "clock": "the clock",
    "ipc": "the cap on images per class",
    "exhausted": "its choices running out",
    "program": "the program itself",
    "interrupt": "the user",
}


def percent(accuracy: float | None) -> str:
    return "–" if accuracy is None else f"{100 * accuracy:.2f}%"


def accuracy_words(accuracy: AccuracyPart) -> str:
    """`33.10% [32.40, 33.80], std 0.28, n = 3`; the brackets are the 95% interval. A preview says that it is one."""
    interval = " (one round, no interval)"
    if accuracy.ci95 and accuracy.std is not None:
        low, high = accuracy.ci95
        interval = f" [{100 * low:.2f}, {100 * high:.2f}], std {100 * accuracy.std:.2f}, n = {len(accuracy.rounds)}"
    preview = f", preview: {accuracy.epochs} epochs" if accuracy.preview else ""
    return f"{percent(accuracy.mean)}{interval}{preview}"


def foreseen_words(plan: PlanPart) -> str:
    """`; foreseen 212 [204, 219]`, empty where nothing was."""
    if plan.predicted_ipc is None or plan.predicted_ipc_interval is None:
        return ""
    low, high = plan.predicted_ipc_interval
    return f"; foreseen {plan.predicted_ipc:.4g} [{low:.4g}, {high:.4g}]"


def ended_words(record: Record) -> str:
    """`ok: the generator ended by itself before the deadline. <detail>`"""
    detail = f". {record.detail}" if record.detail else ""
    return f"{record.outcome.value}: the generator {OUTCOMES[record.outcome]}{detail}"


def ledger_words(clock: ClockPart, budget_s: float) -> str:
    """`8.2 s of 60 s: load 3.1, generate 4.9, write 0.2; ended by the cap on images per class`"""
    phases = clock.ledger.model_dump(exclude={"killed_after_s"})
    spent = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in phases.items() if seconds >= 0.05)
    used = f"{show_duration(clock.ended - clock.started)} of {show_duration(budget_s)}"
    return f"{used}: {spent}; ended by {ENDED_BY[clock.ended_by]}"
