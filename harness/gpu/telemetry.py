"""Samples of the cards during a run: `RUN/telemetry.csv`, and their summary for the record."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from statistics import fmean, median
from typing import Any

from harness.gpu.nvml import Card, Reading, throttling


@dataclass(frozen=True, kw_only=True)
class Sample(Reading):
    """A reading of one card; None where the driver does not report processes."""

    seconds: float  # since the clock's start
    card: int  # its index in the driver's order
    others: int | None = None  # processes on the card that are not the run's
    unseen: int | None = None  # processes that are not in this machine's process table, as in a container


@dataclass(frozen=True, kw_only=True)
class GpuSummary:
    """The record's `gpu`: the card that generated; None for what its driver does not report.

    Attributes:
        count: cards that the generator could see; `present` in the machine.
        throttled: held back by heat, a hardware slowdown, a power brake, or a power limit that somebody had lowered.
        others_present: processes that are not the run's computed on the card.
        utilisation_mean: fraction of the time in which the card was computing.
        throttled_share, limits: fraction of the samples; `limits` by reason, including those that are no throttling.
    """

    name: str
    count: int
    driver: str | None = None
    throttled: bool | None = None
    others_present: bool | None = None
    present: int | None = None
    memory_gb: float | None = None
    power_limit_w: float | None = None
    default_power_limit_w: float | None = None
    samples: int = 0
    clock_mhz_median: float | None = None
    clock_mhz_max: float | None = None
    power_w_mean: float | None = None
    power_w_max: float | None = None
    temperature_c_max: float | None = None
    memory_gb_max: float | None = None
    utilisation_mean: float | None = None
    throttled_share: float | None = None
    limits: dict[str, float] = field(default_factory=dict)


COLUMNS = ("seconds", "card", *(each.name for each in fields(Reading)), "others", "unseen")
# written where the driver reported that there is no reason; an empty cell is a driver that reported nothing
_NO_REASON = "none"


def to_cells(sample: Sample) -> list[str]:
    """The sample as text; an empty cell for None."""
    return [_cell(getattr(sample, column)) for column in COLUMNS]


def _cell(value: object) -> str:
    if isinstance(value, tuple):
        return "+".join(value) or _NO_REASON
    return "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


def read_telemetry(path: Path) -> list[Sample]:
    """The samples in a file: none where it cannot be read, and without a last line that is half-written."""
    from pydantic import TypeAdapter

    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.reader(file))[1:]
    except (OSError, UnicodeDecodeError, csv.Error):
        return []
    sample, samples = TypeAdapter(Sample), []
    for cells in lines:
        try:
            values: dict[str, Any] = {column: cell for column, cell in zip(COLUMNS, cells, strict=True) if cell}
            if "limits" in values:
                values["limits"] = () if values["limits"] == _NO_REASON else values["limits"].split("+")
            samples.append(sample.validate_python(values))
        except ValueError:
            continue
    return samples


def summarise(samples: Sequence[Sample], cards: Sequence[Card], present: int, driver: str | None) -> GpuSummary | None:
    """The record's `gpu`; None without a card. The generator could see `cards`; `present` are in the machine."""
    if not cards:
        return None
    guilty = {card.index: throttling(card.power_limit_w, card.default_power_limit_w) for card in cards}
    limits = [(sample.card, set(sample.limits)) for sample in samples if sample.limits is not None]
    throttled = sum(not reasons.isdisjoint(guilty[card]) for card, reasons in limits)
    others = [sample.others for sample in samples if sample.others is not None]
    unseen = any(sample.unseen for sample in samples)

    def known(name: str) -> list[float]:
        return [value for sample in samples if (value := getattr(sample, name)) is not None]

    clocks, power, memory, busy = map(known, ("clock_mhz", "power_w", "memory_gb", "utilisation"))
    return GpuSummary(
        name=cards[0].name,
        driver=driver,
        count=len(cards),
        throttled=throttled > 0 if limits else None,
        others_present=True if any(others) else False if others and not unseen else None,
        present=present,
        memory_gb=cards[0].memory_gb,
        power_limit_w=cards[0].power_limit_w,
        default_power_limit_w=cards[0].default_power_limit_w,
        samples=len(samples),
        clock_mhz_median=median(clocks) if clocks else None,
        clock_mhz_max=max(clocks, default=None),
        power_w_mean=round(fmean(power), 1) if power else None,
        power_w_max=max(power, default=None),
        temperature_c_max=max(known("temperature_c"), default=None),
        memory_gb_max=round(max(memory), 2) if memory else None,
        utilisation_mean=round(fmean(busy), 4) if busy else None,
        throttled_share=throttled / len(limits) if limits else None,
        limits={
            reason: sum(reason in reasons for _, reasons in limits) / len(limits)
            for reason in sorted(set().union(*(reasons for _, reasons in limits)))
        },
    )
