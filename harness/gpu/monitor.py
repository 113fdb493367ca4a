"""Watches the cards while the clock runs: one sample a second into the run's folder, and who else computes on them."""

from __future__ import annotations

import csv
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from harness.clock.processes import living_descendants
from harness.gpu.nvml import Card, Nvml, Reading, open_nvml, visible
from harness.gpu.telemetry import COLUMNS, Row, summarise, to_cells
from harness.records.record import GpuPart

EVERY_S = 1.0
# samples of one card; a longer run is sampled more rarely
MOST_SAMPLES = 3600
# A driver that hangs must not hold the run.
_ENDS_IN_S = 2.0


class Company:
    """Tells the run's own processes on a card from others.

    A process is the run's if it was a descendant of the harness at any time, as everything under the clock is. One
    that was there before the clock started, or that the process table knows as somebody else's, is another. What is
    left is unseen: a process that has just ended or, inside a container, any at all.
    """

    def __init__(self, before: frozenset[int], own: Callable[[], set[int]], exists: Callable[[int], bool]) -> None:
        self._own, self._exists = own, exists
        self._ours = own()
        self._before = before - self._ours

    def count(self, on_card: frozenset[int]) -> tuple[int, int]:
        """(others, unseen) among the processes on a card."""
        self._ours |= self._own()
        foreign = on_card - self._ours
        others = {pid for pid in foreign if pid in self._before or self._exists(pid)}
        return len(others), len(foreign - others)


class Watch:
    """Samples of the cards from `begin` to the end of the block that gave it."""

    def __init__(self, nvml: Nvml | None, cards: tuple[Card, ...], present: int, path: Path, every_s: float) -> None:
        self._nvml, self._cards, self._present, self._path, self._every_s = nvml, cards, present, path, every_s
        self._driver = nvml.driver() if nvml else None
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._rows: list[Row] = []
        before = frozenset[int]().union(*(nvml.reading(card.index).processes or () for card in cards)) if nvml else None
        self._company = Company(before or frozenset(), run_processes, _exists)

    def begin(self, started: float) -> None:
        """Start sampling. Without a card there is nothing to do.

        Args:
            started: the clock's start, CLOCK_MONOTONIC seconds.
        """
        if self._cards:
            self._thread = threading.Thread(target=self._run, args=(started,), name="gpu", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Take no more samples and let the driver go, unless it hangs."""
        self._over.set()
        if self._thread:
            self._thread.join(_ENDS_IN_S)
        if self._nvml and not (self._thread and self._thread.is_alive()):
            self._nvml.close()

    def summary(self) -> GpuPart | None:
        """The record's `gpu`; None without a card."""
        return summarise(list(self._rows), self._cards, self._present, self._driver)

    def _run(self, started: float) -> None:
        # A full disk ends the sampling, not the run.
        with suppress(OSError), self._path.open("w", encoding="utf-8", newline="") as file:
            _write(file, list(COLUMNS))
            while not self._over.is_set():
                began = time.monotonic()
                for card in self._cards:
                    self._sample(card, began - started, file)
                self._over.wait(max(0.0, began + self._every_s - time.monotonic()))

    def _sample(self, card: Card, seconds: float, file: TextIO) -> None:
        assert self._nvml is not None, "there are cards"
        reading = self._nvml.reading(card.index)
        row = to_row(card.index, seconds, reading, self._company)
        self._rows.append(row)
        _write(file, to_cells(row))


def to_row(card: int, seconds: float, reading: Reading, company: Company) -> Row:
    """The reading as a line of telemetry."""
    others, unseen = (None, None) if reading.processes is None else company.count(reading.processes)
    return Row(
        seconds=seconds,
        card=card,
        clock_mhz=reading.clock_mhz,
        memory_clock_mhz=reading.memory_clock_mhz,
        power_w=reading.power_w,
        temperature_c=reading.temperature_c,
        memory_gb=reading.memory_gb,
        utilisation=reading.utilisation,
        limits=None if reading.limits is None else "+".join(reading.limits),
        others=others,
        unseen=unseen,
    )


@contextmanager
def watching(
    path: Path,
    budget_s: float,
    environ: Mapping[str, str],
    open_library: Callable[[], tuple[Nvml | None, str]] = open_nvml,
) -> Iterator[Watch]:
    """A watch over the cards that a generator in this environment can see. No card and no driver is a normal state.

    Args:
        path: the telemetry file to write; not made without a card.
        budget_s: seconds for which it may have to go on.
        environ: the generator's environment.
        open_library: a stand-in for tests.
    """
    nvml, _ = open_library()
    present = nvml.cards() if nvml else ()
    watch = Watch(nvml, visible(present, environ), len(present), path, max(EVERY_S, budget_s / MOST_SAMPLES))
    try:
        yield watch
    finally:
        watch.end()


def run_processes() -> set[int]:
    """The harness and everything under it: whatever a generator starts descends from the harness until it is dead."""
    return {os.getpid(), *living_descendants(os.getpid())}


def _exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _write(file: TextIO, cells: list[str]) -> None:
    csv.writer(file).writerow(cells)
    file.flush()
