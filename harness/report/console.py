"""The terminal: sentences, progress and the summary of a run; on standard error with `--json`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.audits.audit import Audit
from evaluation.base.container import as_seen_outside
from evaluation.base.progress_bar import Update, plain_console, progress_bar
from evaluation.base.untrusted import harmless
from evaluation.commands.display import auditing, judging, reading, show_audits
from evaluation.curve.real_equivalent import worth_words
from evaluation.formats.decode import OnRead
from harness.records.record import Record
from harness.report.advice import advice
from harness.report.sentences import (
    describe_clock,
    describe_copies,
    describe_gpu,
    describe_isolation,
    describe_other_card,
    describe_outcome,
    format_accuracy,
    format_prediction,
    gpu_warnings,
)

if TYPE_CHECKING:
    from evaluation.judge.protocol import Progress


FAILED, TO_DO = "FAILED", "To do"
OWN_LINE = "[harness "  # how lines of the log that are not the generator's begin
ALARMS = (FAILED, TO_DO)  # labels of the summary that are printed in red


class Voice:
    """Prints to the terminal and into the run's log."""

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self.console = plain_console(stderr=as_json)
        self._log: Path | None = None

    def log_to(self, path: Path) -> None:
        """From now on every sentence also goes to `path`."""
        self._log = path

    def say(self, sentence: str) -> None:
        self.console.print(sentence)
        self._to_log(sentence)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a table with its first column aligned to the left, the others to the right."""
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="bold")
        for number, column in enumerate(columns):
            table.add_column(column, justify="right" if number else "left")
        for cells in rows:
            table.add_row(*cells)
        self.console.print(table)

    @contextmanager
    def generating(self, budget_s: float, images: Callable[[], int | None]) -> Iterator[Callable[[float], None]]:
        """A progress bar of generation: yields a function that takes the seconds used; `images` counts so far."""
        with progress_bar("Generating", self.console) as update:

            def show(used_s: float) -> None:
                count = images()
                update(used_s / budget_s, f"{count:,} images" if count is not None else "running")

            yield show

    def working(self, what: str) -> AbstractContextManager[Update]:
        """A progress bar of anything else."""
        return progress_bar(what, self.console)

    def reading(self) -> AbstractContextManager[OnRead]:
        """A progress bar of reading images."""
        return reading(self.console)

    def auditing(self) -> AbstractContextManager[Update]:
        """A progress bar of the audits."""
        return auditing(self.console)

    def judging(self, what: str) -> AbstractContextManager[Callable[[Progress], None]]:
        """A progress bar of judging `what`: yields a function that takes the judge's progress."""
        return judging(self.console, what)

    def audited(self, audits: Sequence[Audit]) -> None:
        """Print what the audits found."""
        show_audits(self.console, audits)
        for audit in audits:
            self._to_log(f"audit {audit.name}: {audit.verdict}: {audit.evidence}")

    def finished(self, record: Record, report: Path) -> None:
        """Print the summary, and with `--json` the record."""
        if self.as_json:
            print(record.to_json())
        self.summarise(record, report)

    def summarise(self, record: Record, report: Path) -> None:
        """Print the summary of a run."""
        self.lines(summary(record, report))

    def lines(self, lines: Iterable[tuple[str, str]]) -> None:
        """Print closing lines: (label, text)."""
        for label, text in lines:
            style = "bold red" if label in ALARMS else "bold"
            self.console.print(f"{label:<12}", end="", style=style)
            self.console.print(text, style="red" if label in ALARMS else None)
            self._to_log(f"{label}: {text}")

    def _to_log(self, sentence: str) -> None:
        if self._log:  # a full disk, or a folder that a generator removed, does not end a run
            with suppress(OSError), self._log.open("a", encoding="utf-8") as log:
                log.write(f"{OWN_LINE}{datetime.now(UTC):%H:%M:%S}] {harmless(sentence)}\n")


def summary(record: Record, report: Path) -> list[tuple[str, str]]:
    """The closing lines: (label, text)."""
    lines = [("Outcome", describe_outcome(record))]
    for each in advice(record, report.parent):
        lines.append((FAILED, f"{each.audit.name.replace('_', ' ')}: {each.audit.evidence}"))
        lines.append((TO_DO, f"{each.to_do} {each.command}"))
    if record.ipc:
        extremes = "" if record.ipc.min == record.ipc.max else f" ({record.ipc.min} to {record.ipc.max})"
        ipc = f"{record.ipc.mean:g}{extremes}, {record.images:,} images"
        lines.append(("IPC", f"{ipc}{describe_copies(record)}{format_prediction(record.plan)}"))
    if record.clock:
        lines.append(("Clock", describe_clock(record.clock, record.budget_s)))
    if isolation := describe_isolation(record):
        lines.append(("Isolation", isolation))
    if record.gpu:
        lines.append(("GPU", describe_gpu(record.gpu)))
        lines += [("Warning", sentence) for _, sentence in gpu_warnings(record.gpu)]
    if record.other_card:
        lines.append(("Estimate", describe_other_card(record.other_card)))
    if record.accuracy:
        lines.append(("Accuracy", format_accuracy(record.accuracy)))
    if record.real_equivalent:
        lines.append(("Worth", worth_words(record.real_equivalent)))
    if record.baseline:
        lines.append(("Real images", f"{format_accuracy(record.baseline.accuracy)} at IPC {record.baseline.ipc:g}"))
    if record.files.dropped:
        incomplete = f", {record.files.half_written} of them incomplete" if record.files.half_written else ""
        lines.append(("Dropped", f"{record.files.dropped:,} files{incomplete}; the report lists them"))
    lines.append(("Report", as_seen_outside(report)))
    return lines
