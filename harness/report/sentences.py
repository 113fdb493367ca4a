"""The sentences that terminal and report share."""

from __future__ import annotations

from evaluation.base.durations import show_duration
from evaluation.judge.protocol import FULL_EPOCHS, FULL_ROUNDS
from evaluation.judge.score import Score
from harness.cards.other_card import get_card
from harness.gpu.nvml import throttling
from harness.gpu.telemetry import GpuSummary
from harness.records.record import (
    ClockPart,
    OtherCardPart,
    Outcome,
    PlanPart,
    Record,
)

OUTCOMES = {
    Outcome.OK: "ended by itself before the deadline",
    Outcome.DEADLINE_TRUNCATED: "was still running at the deadline and was killed; what was whole by then counts",
    Outcome.CRASHED: "ended with an error; what was whole by then counts",
    Outcome.OUT_OF_MEMORY: "ran out of memory; what was whole by then counts",
    Outcome.NO_IMAGES: "left no whole image",
    Outcome.INVALID_OUTPUT: "left an output folder that cannot be read as labelled images",
    Outcome.INTERRUPTED: "was stopped by hand before it was done",
}

# every entry of the challenge had one card to itself
CHALLENGE_CARDS = 1

ENDED_BY = {
    "clock": "the clock",
    "ipc": "the cap on images per class",
    "exhausted": "its choices running out",
    "program": "the program itself",
    "interrupt": "the user",
}


def percent(accuracy: float | None) -> str:
    return "–" if accuracy is None else f"{100 * accuracy:.2f}%"


def figure(number: float) -> str:
    """`24,000`, `64.1`, `0.0233`: three digits that count, or whole thousands."""
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"


def accuracy_words(accuracy: Score) -> str:
    """`33.10% [32.40, 33.80], std 0.28, n = 3`; the brackets are the 95% interval. A preview says that it is one."""
    interval = " (one round, no interval)"
    if accuracy.ci95 and accuracy.std is not None:
        low, high = accuracy.ci95
        interval = f" [{100 * low:.2f}, {100 * high:.2f}], std {100 * accuracy.std:.2f}, n = {len(accuracy.rounds)}"
    return f"{percent(accuracy.mean)}{interval}" + (f", {preview_words(accuracy)}" if accuracy.preview else "")


def preview_words(accuracy: Score) -> str:
    """`preview: 200 epochs, 1 round`: what there is less of than in the challenge; empty where there is not."""
    rounds = len(accuracy.rounds)
    fewer = []
    if accuracy.epochs < FULL_EPOCHS:
        fewer.append(f"{accuracy.epochs:,} epoch{'s' if accuracy.epochs > 1 else ''}")
    if rounds < FULL_ROUNDS:
        fewer.append(f"{rounds} round{'s' if rounds > 1 else ''}")
    return f"preview: {', '.join(fewer)}" if fewer else ""


LIMITS = {
    "idle": "idle",
    "clock_setting": "a clock setting",
    "power_cap": "the power limit",
    "hardware_slowdown": "a hardware slowdown",
    "sync_boost": "cards in step",
    "thermal_software": "heat",
    "thermal_hardware": "heat (hardware)",
    "power_brake": "a power brake",
    "display_clock": "the display's clock",
}


def gpu_words(gpu: GpuSummary) -> str:
    """`NVIDIA X, driver 550.1; up to 71 °C, 431 W of 450 W, 18.2 of 24.0 GB; busy 93% of the time`, what is known."""
    name = gpu.name if gpu.driver is None else f"{gpu.name}, driver {gpu.driver}"
    reached = []
    if gpu.temperature_c_max is not None:
        reached.append(f"{gpu.temperature_c_max:g} °C")
    if gpu.power_w_max is not None:
        reached.append(f"{gpu.power_w_max:.0f}" + (f" of {gpu.power_limit_w:.0f} W" if gpu.power_limit_w else " W"))
    if gpu.memory_gb_max is not None:
        reached.append(f"{gpu.memory_gb_max:.1f}" + (f" of {gpu.memory_gb:.1f} GB" if gpu.memory_gb else " GB"))
    told = [name]
    if reached:
        told.append(f"up to {', '.join(reached)}")
    if gpu.utilisation_mean is not None:
        told.append(f"busy {100 * gpu.utilisation_mean:.0f}% of the time")
    return "; ".join(told)


def gpu_marks(gpu: GpuSummary) -> list[tuple[str, str]]:
    """What stands against a run's card: (a word or two, a sentence)."""
    marks = []
    if gpu.throttled and gpu.throttled_share is not None:
        reasons = sorted(gpu.limits.items(), key=lambda item: -item[1])
        guilty = throttling(gpu.power_limit_w, gpu.default_power_limit_w)
        why = ", ".join(f"{LIMITS[name]} {100 * share:.0f}%" for name, share in reasons if name in guilty)
        marks.append(("throttled", f"throttled for {100 * gpu.throttled_share:.0f}% of the run: {why}"))
    if gpu.others_present:
        marks.append(("not alone", "another process was on the card"))
    if gpu.count != CHALLENGE_CARDS:
        marks.append((f"{gpu.count} cards", f"{gpu.count} cards visible, the challenge has one"))
    return marks


def foreseen_words(plan: PlanPart) -> str:
    """`; foreseen 212 [204, 219]`, empty where nothing was."""
    if plan.predicted_ipc is None or plan.predicted_ipc_interval is None:
        return ""
    low, high = plan.predicted_ipc_interval
    return f"; foreseen {plan.predicted_ipc:.4g} [{low:.4g}, {high:.4g}]"


def copies_words(record: Record) -> str:
    """`; 20 generated and 4 augmented copies of each, 21.3 distinct`, empty where no copies were asked for."""
    if record.ipc is None or record.ipc.generated is None:
        return ""
    copies = record.settings["pda"] - 1
    told = f"; {record.ipc.generated:g} generated and {copies} augmented cop{'y' if copies == 1 else 'ies'} of each"
    return told if record.ipc.distinct is None else f"{told}, {record.ipc.distinct:.1f} distinct"


def other_card_words(part: OtherCardPart) -> str:
    """What a run with another card's budget stands for, with its interval."""
    title, (low, high) = get_card(part.card).title, part.interval
    least, most = (show_duration(part.scaled_budget * ratio) for ratio in (low, high))
    return (
        f"An estimate for one {title}: its {show_duration(part.budget)} are {show_duration(part.scaled_budget)} here, "
        f"where work goes {part.ratio:.3g} times as fast ({low:.2g} to {high:.2g}); that is as much as "
        f"{least} to {most} of its time"
    )


def ended_words(record: Record) -> str:
    """`ok: the generator ended by itself before the deadline. <detail>`"""
    detail = f". {record.detail}" if record.detail else ""
    return f"{record.outcome.value}: the generator {OUTCOMES[record.outcome]}{detail}"


def ledger_words(clock: ClockPart, budget_s: float) -> str:
    """`8.2 s of 60 s: load 3.1, generate 4.9, write 0.2; ended by the cap on images per class`"""
    phases = clock.ledger.by_phase.items()
    spent = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in phases if seconds >= 0.05)
    used = f"{show_duration(clock.ended - clock.started)} of {show_duration(budget_s)}"
    return f"{used}: {spent}; ended by {ENDED_BY[clock.ended_by]}"
