"""Samples the cards while the clock runs: once a second, with a count of the foreign processes that compute on them."""

import csv
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import pynvml

from harness.clock.processes import living_descendants
from harness.gpu.nvml import Card, Nvml, open_nvml, visible
from harness.gpu.telemetry import COLUMNS, GpuSummary, Sample, summarise, to_cells

EVERY_S = 1.0
# samples of one card; a longer run is sampled less often
MAX_SAMPLES = 3600
# a driver that hangs must not hold the run
_JOIN_TIMEOUT_S = 2.0


class OtherProcesses:
    """Tells the run's own processes on a card from others.

    A process is the run's if it was ever a descendant of the harness, as everything under the clock is. One that was
    there before the clock started, or that is in the process table as somebody else's, is another. The rest is unseen:
    a process that has just ended or, inside a container, any at all.
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


class Monitor:
    """Samples the cards from `begin` to `end`, in a thread. Nothing that it meets there reaches the run."""

    def __init__(self, nvml: Nvml | None, environ: Mapping[str, str], path: Path, every_s: float) -> None:
        self._nvml, self._path, self._every_s = nvml, path, every_s
        present = nvml.cards() if nvml else ()
        self._present = len(present)
        self._cards = visible(present, environ)
        self._driver = nvml.driver() if nvml else None
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._samples: list[Sample] = []
        before = frozenset[int]().union(*(nvml.processes(card.index) or () for card in self._cards) if nvml else ())
        self._others = OtherProcesses(before, run_processes if nvml else set, _exists)

    def begin(self, started: float) -> None:
        """Start sampling once, where there is a card; the clock `started` at these CLOCK_MONOTONIC seconds."""
        if self._cards and self._thread is None:
            thread = threading.Thread(target=self._run, args=(started,), name="gpu", daemon=True)
            with suppress(RuntimeError):  # no more threads are allowed here
                thread.start()
                self._thread = thread

    def end(self) -> None:
        """Stop sampling and close the driver's library, unless the driver hangs."""
        self._over.set()
        if self._thread:
            self._thread.join(_JOIN_TIMEOUT_S)
        if self._nvml and not (self._thread and self._thread.is_alive()):
            self._nvml.close()

    def summary(self) -> GpuSummary | None:
        """The record's `gpu`; None without a card, or where what the driver said makes no sense."""
        with suppress(Exception):
            return summarise(list(self._samples), self._cards, self._present, self._driver)
        return None

    def _run(self, started: float) -> None:
        # a full disk, or a driver that breaks its documentation, ends the sampling and not the run
        with suppress(Exception), self._path.open("w", encoding="utf-8", newline="") as file:
            _write(file, list(COLUMNS))
            while not self._over.is_set():
                began = time.monotonic()
                for card in self._cards:
                    sample = self._sample(card, began - started)
                    self._samples.append(sample)
                    _write(file, to_cells(sample))
                self._over.wait(max(0.0, began + self._every_s - time.monotonic()))

    def _sample(self, card: Card, seconds: float) -> Sample:
        assert self._nvml is not None, "there are cards"
        processes = self._nvml.processes(card.index)
        others, unseen = (None, None) if processes is None else self._others.count(processes)
        reading = asdict(self._nvml.reading(card.index))
        return Sample(**reading, seconds=seconds, card=card.index, others=others, unseen=unseen)


@contextmanager
def monitoring(path: Path, budget_s: float, environ: Mapping[str, str], library: Any = pynvml) -> Iterator[Monitor]:
    """A monitor of the cards that a generator in this environment can see; without a card it does nothing.

    Args:
        path: the telemetry file to write; not created without a card.
        budget_s: seconds for which it may have to go on.
        environ: the generator's environment.
        library: the module `pynvml`, or a fake of it.
    """
    nvml, _ = open_nvml(library)
    every_s = max(EVERY_S, budget_s / MAX_SAMPLES)
    try:
        monitor = Monitor(nvml, environ, path, every_s)
    except Exception:  # the process table, the environment: a run without figures is better than none
        monitor = Monitor(None, environ, path, every_s)
    try:
        yield monitor
    finally:
        monitor.end()


def run_processes() -> set[int]:
    """The harness and everything under it: whatever a generator starts descends from the harness until it is dead."""
    return {os.getpid(), *living_descendants(os.getpid())}


def _exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _write(file: TextIO, cells: list[str]) -> None:
    csv.writer(file).writerow(cells)
    file.flush()
