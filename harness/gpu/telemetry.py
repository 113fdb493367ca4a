"""What the cards did during a run: `RUN/telemetry.csv`, and what is to be said of it in the record."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from statistics import fmean, median

from harness.gpu.nvml import Card, throttling
from harness.records.record import GpuPart


@dataclass(frozen=True)
class Row:
    """One card at one moment; None for what the driver does not tell.

    Attributes:
        seconds: since the clock's start.
        card: its index in the driver's order.
        clock_mhz, memory_clock_mhz, power_w, temperature_c, memory_gb, utilisation: as in `harness.gpu.nvml.Reading`.
        limits: why the clock is lower than it could be, joined with `+`; empty for no reason.
        others: processes on the card that are not the run's.
        unseen: processes on the card of which this machine's process table knows nothing, as in a container.
    """

    seconds: float
    card: int
    clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    power_w: float | None = None
    temperature_c: int | None = None
    memory_gb: float | None = None
    utilisation: float | None = None
    limits: str | None = None
    others: int | None = None
    unseen: int | None = None


COLUMNS = tuple(field.name for field in fields(Row))
_TYPES: dict[str, Callable[[str], float | int | str]] = {
    "seconds": float, "card": int, "clock_mhz": int, "memory_clock_mhz": int, "power_w": float, "temperature_c": int,
    "memory_gb": float, "utilisation": float, "limits": str, "others": int, "unseen": int,
}  # fmt: skip
# written where the driver told that there is no reason, so that it differs from a driver that told nothing
_NO_REASON = "none"


def to_cells(row: Row) -> list[str]:
    """The row as text; nothing for what is not known."""
    told = [
        "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value) for value in astuple(row)
    ]
    if row.limits == "":
        told[COLUMNS.index("limits")] = _NO_REASON
    return told


def from_cells(cells: Sequence[str]) -> Row:
    """The row of `to_cells`. Raises ValueError for anything else."""
    told = {
        name: None if cell == "" else "" if name == "limits" and cell == _NO_REASON else _TYPES[name](cell)
        for name, cell in zip(COLUMNS, cells, strict=True)
    }
    return Row(**told)  # type: ignore[arg-type]


def read_telemetry(path: Path) -> list[Row]:
    """The rows of a file; none where there is no file, and without a last line that is half-written."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.reader(file))[1:]
    except FileNotFoundError:
        return []
    rows = []
    for cells in lines:
        try:
            rows.append(from_cells(cells))
        except (ValueError, TypeError):
            continue
    return rows


def is_throttled(row: Row, card: Card) -> bool:
    """Whether something held the card back that a card in good order would not have."""
    guilty = throttling(card.power_limit_w, card.default_power_limit_w)
    return not guilty.isdisjoint((row.limits or "").split("+"))


def summarise(rows: Sequence[Row], cards: Sequence[Card], present: int, driver: str | None) -> GpuPart | None:
    """The record's `gpu`; None without a card.

    Args:
        rows: samples of the run.
        cards: those that the generator could see.
        present: cards in the machine.
        driver: its version.
    """
    if not cards:
        return None
    by_index = {card.index: card for card in cards}
    told = [row for row in rows if row.limits is not None]
    throttled = [row for row in told if is_throttled(row, by_index[row.card])]
    reasons = sorted({reason for row in told for reason in (row.limits or "").split("+") if reason})
    others = [row.others for row in rows if row.others is not None]
    unseen = any(row.unseen for row in rows)
    clocks, power = _known(rows, "clock_mhz"), _known(rows, "power_w")
    temperatures, memory, busy = (_known(rows, name) for name in ("temperature_c", "memory_gb", "utilisation"))
    return GpuPart(
        name=cards[0].name,
        driver=driver,
        count=len(cards),
        throttled=bool(throttled) if told else None,
        others_present=True if any(others) else False if others and not unseen else None,
        present=present,
        memory_gb=cards[0].memory_gb,
        power_limit_w=cards[0].power_limit_w,
        default_power_limit_w=cards[0].default_power_limit_w,
        samples=len(rows),
        clock_mhz_median=median(clocks) if clocks else None,
        clock_mhz_max=max(clocks, default=None),
        power_w_mean=round(fmean(power), 1) if power else None,
        power_w_max=max(power, default=None),
        temperature_c_max=max(temperatures, default=None),
        memory_gb_max=round(max(memory), 2) if memory else None,
        utilisation_mean=round(fmean(busy), 4) if busy else None,
        throttled_share=len(throttled) / len(told) if told else None,
        limits={reason: sum(reason in (row.limits or "").split("+") for row in told) / len(told) for reason in reasons},
    )


def _known(rows: Sequence[Row], name: str) -> list[float]:
    values = (getattr(row, name) for row in rows)
    return [value for value in values if value is not None]
