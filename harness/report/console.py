"""What people see: sentences, progress with what remains, the summary; on standard error with `--json`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.audits.audit import Audit
from evaluation.base.progress_bar import plain_console, progress_bar
from evaluation.commands.display import judging, show_audits
from evaluation.curve.real_equivalent import worth_words
from harness.records.record import Record
from harness.report.sentences import (
    accuracy_words,
    copies_words,
    ended_words,
    foreseen_words,
    gpu_marks,
    gpu_words,
    ledger_words,
    other_card_words,
)

if TYPE_CHECKING:
    from evaluation.judge.protocol import Progress


class Voice:
    """Speaks to the user, and into the run's log."""

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self.console = plain_console(stderr=as_json)
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

        with progress_bar("Generating", self.console) as update:

            def show(used_s: float) -> None:
                count = images()
                update(used_s / budget_s, f"{count:,} images" if count is not None else "running")

            yield show

    def judging(self, what: str) -> AbstractContextManager[Callable[[Progress], None]]:
        """Progress of judging `what`: gives what is to be told the judge's progress."""
        return judging(self.console, what)

    def audited(self, audits: Sequence[Audit]) -> None:
        """What the audits found."""
        show_audits(self.console, audits)
        for audit in audits:
            self._to_log(f"audit {audit.name}: {audit.status}: {audit.evidence}")

    def finished(self, record: Record, folder: Path) -> None:
        """The summary, or with `--json` the record."""
        if self.as_json:
            print(record.to_json())
        for label, text in summary(record, folder):
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
        told = f"{record.ipc.mean:g}{spread}, {record.images:,} images"
        lines.append(("IPC", f"{told}{copies_words(record)}{foreseen_words(record.plan)}"))
    if record.clock:
        lines.append(("Clock", ledger_words(record.clock, record.budget_s)))
    if record.gpu:
        lines.append(("GPU", gpu_words(record.gpu)))
        lines += [("Mark", sentence) for _, sentence in gpu_marks(record.gpu)]
    if record.other_card:
        lines.append(("Estimate", other_card_words(record.other_card)))
    if record.accuracy:
        lines.append(("Accuracy", accuracy_words(record.accuracy)))
    if record.real_equivalent:
        lines.append(("Worth", worth_words(record.real_equivalent)))
    if record.baseline:
        lines.append(("Real images", f"{accuracy_words(record.baseline.accuracy)} at IPC {record.baseline.ipc:g}"))
    if record.files.dropped:
        half = f", {record.files.half_written} of them half-written" if record.files.half_written else ""
        lines.append(("Dropped", f"{record.files.dropped:,} files{half}; the report lists them"))
    lines.append(("Report", str(folder / "report.html")))
    return lines
