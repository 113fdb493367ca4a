"""What people see: sentences, progress with what remains, the summary; on standard error with `--json`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from harness.durations import show_duration
from harness.record import Record
from harness.words import accuracy_words, ended_words, ledger_words

if TYPE_CHECKING:
    from evaluation.protocol import Progress
    from harness.run import Finished

# how often a progress line is printed where there is no terminal to redraw one
LINE_EVERY_S = 15.0


class Voice:
    """Speaks to the user, and into the run's log."""

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self.console = Console(stderr=as_json, highlight=False, soft_wrap=True)
        self._log: Path | None = None

    def log_to(self, path: Path) -> None:
        """From now on every sentence also goes to `path`."""
        self._log = path

    def say(self, sentence: str) -> None:
        self.console.print(sentence, markup=False)
        self._to_log(sentence)

    @contextmanager
    def generating(self, budget_s: float, images: Callable[[], int | None]) -> Iterator[Callable[[float], None]]:
        """Progress of generation: yields what is to be told the seconds used. `images` gives the count so far."""

        def words(used_s: float) -> str:
            count = images()
            made = f"{count:,} images, " if count is not None else ""
            return f"{made}{show_duration(max(budget_s - used_s, 0.0))} left on the clock"

        with self._progress("Generating", budget_s) as update:
            yield lambda used_s: update(used_s, words(used_s))

    @contextmanager
    def judging(self, what: str) -> Iterator[Callable[[Progress], None]]:
        """Progress of judging `what`: yields what is to be told the judge's progress."""
        with self._progress(f"Judging {what}", 1.0) as update:

            def tell(progress: Progress) -> None:
                done = (progress.round - 1 + progress.passes_done / progress.passes) / progress.rounds
                left = f", {show_duration(progress.remaining_s)} left" if progress.remaining_s is not None else ""
                where = f"round {progress.round} of {progress.rounds}, pass {progress.passes_done} of {progress.passes}"
                update(done, f"{where}, loss {progress.loss:.3f}{left}")

            yield tell

    @contextmanager
    def _progress(self, title: str, total: float) -> Iterator[Callable[[float, str], None]]:
        if not self.console.is_terminal:
            yield self._lines(title)
            return
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("{task.description}"), BarColumn(bar_width=28), TextColumn("{task.fields[words]}"))
        with Bar(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task(title, total=total, words="")

            def update(done: float, words: str) -> None:
                bar.update(task, completed=min(done, total), words=words)

            yield update

    def _lines(self, title: str) -> Callable[[float, str], None]:
        last = time.monotonic()

        def update(_done: float, words: str) -> None:
            nonlocal last
            if time.monotonic() - last >= LINE_EVERY_S:
                last = time.monotonic()
                self.console.print(f"{title}: {words}", markup=False)

        return update

    def finished(self, finished: Finished) -> None:
        """The summary, or with `--json` the record."""
        if self.as_json:
            print(finished.record.to_json())
        for label, text in summary(finished.record, finished.folder):
            self.console.print(f"[bold]{label:<12}[/bold]", end="")
            self.console.print(text, markup=False)
            self._to_log(f"{label}: {text}")

    def _to_log(self, sentence: str) -> None:
        if self._log:
            with self._log.open("a", encoding="utf-8") as log:
                log.write(f"[harness {datetime.now(UTC):%H:%M:%S}] {sentence}\n")


def summary(record: Record, folder: Path) -> list[tuple[str, str]]:
    """The closing lines: (label, text)."""
    lines = [("Outcome", ended_words(record))]
    if record.ipc:
        spread = "" if record.ipc.min == record.ipc.max else f" ({record.ipc.min} to {record.ipc.max})"
        lines.append(("IPC", f"{record.ipc.mean:g}{spread}, {record.images:,} images"))
    if record.clock:
        lines.append(("Clock", ledger_words(record.clock, record.budget_s)))
    if record.accuracy:
        lines.append(("Accuracy", accuracy_words(record.accuracy)))
    if record.baseline:
        lines.append(("Real images", f"{accuracy_words(record.baseline.accuracy)} at IPC {record.baseline.ipc:g}"))
    if record.files.dropped:
        half = f", {record.files.half_written} of them half-written" if record.files.half_written else ""
        lines.append(("Dropped", f"{record.files.dropped:,} files{half}; the report lists them"))
    lines.append(("Report", str(folder / "report.html")))
    return lines
