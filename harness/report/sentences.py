"""The sentences that terminal and report share."""

from evaluation.base.durations import show_duration
from evaluation.judge.protocol import FULL_EPOCHS, FULL_ROUNDS
from evaluation.judge.score import Score
from harness.cards.other_card import get_card
from harness.gpu.nvml import throttling
from harness.gpu.telemetry import GpuSummary
from harness.records.record import ClockPart, OtherCardPart, Outcome, PlanPart, Record

# each completes "the generator ..."
OUTCOMES = {
    Outcome.OK: "finished before the deadline",
    Outcome.DEADLINE_TRUNCATED: "was still running at the deadline and was killed; its complete images count",
    Outcome.CRASHED: "ended with an error; its complete images count",
    Outcome.OUT_OF_MEMORY: "ran out of memory; its complete images count",
    Outcome.NO_IMAGES: "left no complete image",
    Outcome.INVALID_OUTPUT: "left an output folder that cannot be read as labelled images",
    Outcome.INTERRUPTED: "was interrupted by the user",
}
ENDED_BY = {
    "clock": "the clock",
    "ipc": "the cap on images per class",
    "exhausted": "the end of its selection",
    "program": "the program itself",
    "interrupt": "the user",
}
# why a clock is lower than it could be, by the names of `harness.gpu.nvml.REASONS`
LIMITS = {
    "idle": "idle",
    "clock_setting": "a clock setting",
    "power_cap": "the power limit",
    "hardware_slowdown": "a hardware slowdown",
    "sync_boost": "sync boost",
    "thermal_software": "heat",
    "thermal_hardware": "heat (hardware)",
    "power_brake": "a power brake",
    "display_clock": "the display clock",
}
# every entry of the challenge had one GPU to itself
CHALLENGE_GPUS = 1


def percent(accuracy: float | None) -> str:
    return "–" if accuracy is None else f"{100 * accuracy:.2f}%"


def format_interval(ci95: tuple[float, float] | None, signed: bool = False) -> str:
    """`[32.40, 33.80]` in percent or points, with signs for a difference; a dash where there is none."""
    if ci95 is None:
        return "–"
    sign = "+" if signed else ""
    return "[{:{sign}.2f}, {:{sign}.2f}]".format(*(100 * end for end in ci95), sign=sign)


def format_p(p: float | None) -> str:
    """`0.012`, `< 0.001`; a dash where there is none."""
    return "–" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def format_number(number: float) -> str:
    """`24,000`, `64.1`, `0.0233`: three significant digits, or whole thousands."""
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"


def format_accuracy(accuracy: Score) -> str:
    """`33.10% [32.40, 33.80], std 0.28, n = 3`; the brackets are the 95% interval. A preview is marked as one."""
    interval = " (one round, no interval)"
    if accuracy.ci95 and accuracy.std is not None:
        low, high = accuracy.ci95
        interval = f" [{100 * low:.2f}, {100 * high:.2f}], std {100 * accuracy.std:.2f}, n = {len(accuracy.rounds)}"
    return f"{percent(accuracy.mean)}{interval}" + (f", {format_preview(accuracy)}" if accuracy.preview else "")


def format_preview(accuracy: Score) -> str:
    """`preview: 200 epochs, 1 round`: what is less than in the challenge; empty where nothing is."""
    return preview_words(accuracy.epochs, len(accuracy.rounds))


def preview_words(epochs: int, rounds: int) -> str:
    """`format_preview` for so many epochs and rounds."""
    fewer = []
    if epochs < FULL_EPOCHS:
        fewer.append(f"{epochs:,} epoch{'s' if epochs > 1 else ''}")
    if rounds < FULL_ROUNDS:
        fewer.append(f"{rounds} round{'s' if rounds > 1 else ''}")
    return f"preview: {', '.join(fewer)}" if fewer else ""


def format_prediction(plan: PlanPart) -> str:
    """`; predicted 212 [204, 219]`, empty where nothing was predicted."""
    if plan.predicted_ipc is None or plan.predicted_ipc_interval is None:
        return ""
    low, high = plan.predicted_ipc_interval
    return f"; predicted {plan.predicted_ipc:.4g} [{low:.4g}, {high:.4g}]"


def describe_gpu(gpu: GpuSummary) -> str:
    """`NVIDIA X, driver 550.1; up to 71 °C, 431 W of 450 W, 18.2 of 24.0 GB; busy 93% of the time`, as far as known."""
    parts = [gpu.name if gpu.driver is None else f"{gpu.name}, driver {gpu.driver}"]
    peaks = []
    if gpu.temperature_c_max is not None:
        peaks.append(f"{gpu.temperature_c_max:g} °C")
    if gpu.power_w_max is not None:
        peaks.append(f"{gpu.power_w_max:.0f}" + (f" of {gpu.power_limit_w:.0f} W" if gpu.power_limit_w else " W"))
    if gpu.memory_gb_max is not None:
        peaks.append(f"{gpu.memory_gb_max:.1f}" + (f" of {gpu.memory_gb:.1f} GB" if gpu.memory_gb else " GB"))
    if peaks:
        parts.append(f"up to {', '.join(peaks)}")
    if gpu.utilisation_mean is not None:
        parts.append(f"busy {100 * gpu.utilisation_mean:.0f}% of the time")
    return "; ".join(parts)


def gpu_warnings(gpu: GpuSummary) -> list[tuple[str, str]]:
    """What makes a run's speed doubtful: (a label of a word or two, a sentence)."""
    warnings = []
    if gpu.throttled and gpu.throttled_share is not None:
        guilty = throttling(gpu.power_limit_w, gpu.default_power_limit_w)
        reasons = sorted(((part, name) for name, part in gpu.limits.items() if name in guilty), reverse=True)
        why = ", ".join(f"{LIMITS[name]} {100 * part:.0f}%" for part, name in reasons)
        warnings.append(("throttled", f"throttled for {100 * gpu.throttled_share:.0f}% of the run: {why}"))
    if gpu.others_present:
        warnings.append(("shared GPU", "another process was computing on the GPU"))
    if gpu.count != CHALLENGE_GPUS:
        warnings.append((f"{gpu.count} GPUs", f"{gpu.count} GPUs were visible; the challenge has one"))
    return warnings


def describe_copies(record: Record) -> str:
    """`; 20 generated and 4 augmented copies of each, 21.3 distinct`, empty where no copies were asked for."""
    if record.ipc is None or record.ipc.generated is None:
        return ""
    copies = record.settings["pda"] - 1
    text = f"; {record.ipc.generated:g} generated and {copies} augmented cop{'y' if copies == 1 else 'ies'} of each"
    return text if record.ipc.distinct is None else f"{text}, {record.ipc.distinct:.1f} distinct"


def describe_other_card(part: OtherCardPart) -> str:
    """What a run with another card's budget stands for, with its interval."""
    low, high = part.interval
    shortest, longest = (show_duration(part.scaled_budget * ratio) for ratio in (low, high))
    return (
        f"An estimate for one {get_card(part.card).title}: its {show_duration(part.budget)} correspond to "
        f"{show_duration(part.scaled_budget)} on this machine, which has {part.ratio:.3g} times its speed "
        f"(interval {low:.2g} to {high:.2g}), so the run stands for {shortest} to {longest} of its time"
    )


def describe_outcome(record: Record) -> str:
    """`ok: the generator finished before the deadline. <detail>`"""
    detail = f". {record.detail}" if record.detail else ""
    return f"{record.outcome.value}: the generator {OUTCOMES[record.outcome]}{detail}"


_KEPT_FROM = {
    "network": "the network",
    "processes": "other processes",
    "data": "the real data",
    "process_limit": "endless processes",
}


def describe_isolation(record: Record) -> str:
    """What a `--command` was kept from and what not; empty for any other generator."""
    if record.clock is None or "command" not in record.settings or "image" in record.settings:
        return ""
    if record.settings.get("trust"):
        return "none, as --trust says; nothing limited how many processes it had"
    confined = record.clock.confined or []
    parts = [
        f"{words} {' and '.join(_KEPT_FROM[piece] for piece in pieces)}"
        for words, pieces in (
            ("kept from", [piece for piece in _KEPT_FROM if piece in confined]),
            ("not kept from", [piece for piece in _KEPT_FROM if piece not in confined]),
        )
        if pieces
    ]
    unlimited = "" if "process_limit" in confined else ", as nothing on this machine limits how many it starts"
    return f"{record.clock.isolation}, {'; '.join(parts)}{unlimited}"


def describe_clock(clock: ClockPart, budget_s: float) -> str:
    """`8.2 s of 60 s: load 3.1 s, generate 4.9 s, write 0.2 s; ended by the cap on images per class`"""
    phases = clock.ledger.by_phase.items()
    spent = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in phases if seconds >= 0.05)
    used = f"{show_duration(clock.ended - clock.started)} of {show_duration(budget_s)}"
    return f"{used}: {spent}; ended by {ENDED_BY[clock.ended_by]}"
