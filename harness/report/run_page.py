"""One run as one self-contained HTML page, openable offline."""

import re
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from evaluation.base.challenge import Challenge, get_challenge
from evaluation.base.images import ImageSet
from evaluation.base.untrusted import UnreadableFileError, read_regular
from evaluation.curve.curve import CurvePoint, load_curve
from evaluation.judge.protocol import FULL_EPOCHS
from harness.gpu.telemetry import Sample, read_telemetry
from harness.records.anytime import Anytime
from harness.records.record import Outcome, Record
from harness.records.run_folder import RunFolder
from harness.report import charts
from harness.report.accuracy_charts import accuracy_chart, class_chart
from harness.report.advice import advice
from harness.report.class_results import MAX_LISTED, class_lists, groups
from harness.report.console import OWN_LINE
from harness.report.page import render_page
from harness.report.pictures import audited_pairs, gallery, positions, read_exhibit
from harness.report.published import PUBLISHED
from harness.report.sentences import (
    ENDED_BY,
    OUTCOMES,
    describe_gpu,
    describe_isolation,
    describe_other_card,
    format_prediction,
    gpu_warnings,
)
from harness.report.standings import describe_standings, is_copying, standings
from submission.contract.exhibit import Exhibit

TONES = {Outcome.OK: "good", Outcome.DEADLINE_TRUNCATED: "warn"}
LOG_LINES = 40
LOG_BYTES = 64 << 20
# colours, cursor movements and whatever else a terminal would obey, but no tab
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class LogEnd:
    """The last lines of a log."""

    name: str
    lines: list[str]


def render(
    record: Record,
    generated: ImageSet | None,
    train: ImageSet | None,
    test: ImageSet | None = None,
    anytime: Anytime | None = None,
    telemetry: Sequence[Sample] = (),
    exhibit: Exhibit | None = None,
    log_end: LogEnd | None = None,
    root: Path = Path("RUN"),
) -> str:
    """The report of a run.

    Args:
        generated: the run's images, in the order that the audits counted them in.
        train, test: the real splits, for pictures to compare with.
        exhibit: what the generator has to show of how it works.
        log_end: shown where the run left no images.
        root: the run's folder, for the commands that mend what failed.
    """
    challenge = get_challenge(record.dataset)
    failed = advice(record, root)
    curve = real_curve(record, challenge)
    per_class = record.accuracy.per_class if record.accuracy else ()
    by_group = groups(per_class, challenge) if per_class else []
    return render_page(
        "report.html",
        title=f"{challenge.title} · {record.generator}",
        record=record,
        challenge=challenge,
        published=PUBLISHED[challenge.name],
        standings=standings(record, PUBLISHED[challenge.name]),
        copying=is_copying(record),
        curve_epochs=curve[0].epochs if curve else None,
        classes=class_lists(per_class, challenge) if per_class else None,
        superclasses=by_group,
        heat_top=max((value or 0.0 for group in by_group for _, value in group.classes), default=0.0) or 1.0,
        charts=drawn(record, challenge, curve, anytime, telemetry),
        gallery=gallery(generated, train, challenge) if generated is not None else [],
        has_real=train is not None,
        pairs=audited_pairs(record.audits, generated, train, test) if generated is not None else [],
        failed=failed,
        tone="plain" if failed else TONES.get(record.outcome, "bad"),
        meaning=OUTCOMES[record.outcome],
        log_end=None if record.images else log_end,
        ended_by=ENDED_BY,
        isolation=describe_isolation(record),
        prediction=format_prediction(record.plan),
        anytime=anytime,
        exhibit=exhibit,
        command=shlex.join(record.command),
        gpu=describe_gpu(record.gpu) if record.gpu else "",
        estimate=describe_other_card(record.other_card) if record.other_card else "",
        warnings=gpu_warnings(record.gpu) if record.gpu else [],
    )


def real_curve(record: Record, challenge: Challenge) -> list[CurvePoint]:
    """Random real images judged for as many epochs, or by the full protocol where none were; empty if none at all."""
    if record.accuracy is None:
        return []
    curve = load_curve(challenge)
    return curve.at(record.accuracy.epochs) or curve.at(FULL_EPOCHS)


def drawn(
    record: Record,
    challenge: Challenge,
    curve: Sequence[CurvePoint],
    anytime: Anytime | None,
    telemetry: Sequence[Sample],
) -> dict[str, str]:
    """The charts that there is something for, by name, as HTML."""
    found: dict[str, str] = {}
    if record.clock:
        used_s = record.clock.ended - record.clock.started
        if record.images_over_time:
            found["images"] = charts.images_chart(record.images_over_time, record.budget_s, used_s)
        if telemetry:
            memory_gb = record.gpu.memory_gb if record.gpu else None
            found["telemetry"] = charts.telemetry_chart(telemetry, used_s, memory_gb)
    if record.accuracy:
        published = PUBLISHED[challenge.name]
        label = f"Accuracy against images per class: {describe_standings(standings(record, published))}"
        found["accuracy"] = accuracy_chart(label, record, published, curve, challenge.chance)
        if challenge.classes > MAX_LISTED:
            label = "Accuracy of every class, from the best to the worst"
            found["classes"] = class_chart(label, record.accuracy, challenge.class_names, challenge.chance)
    for audit in record.audits:
        if audit.name == "class_order" and (seen := positions(audit.numbers, "seen")):
            found["order"] = charts.class_order_chart(seen, challenge.class_names)
    if anytime and anytime.area is not None:
        found["anytime"] = charts.anytime_chart(anytime)
    return found


def report_of(
    folder: RunFolder,
    record: Record,
    generated: ImageSet | None,
    train: ImageSet | None,
    test: ImageSet | None,
    root: Path | None = None,
) -> str:
    """The report with what else lies in the run's folder, as far as it can be read: telemetry and the like.

    `root` is what its commands call the folder, its own path unless given.
    """
    telemetry, exhibit = read_telemetry(folder.telemetry) if record.gpu else [], read_exhibit(folder.exhibit)
    anytime = None
    with suppress(OSError, ValueError):
        anytime = Anytime.load(folder.anytime)
    log_end = read_log_end(folder.log)
    return render(record, generated, train, test, anytime, telemetry, exhibit, log_end, root or folder.root)


def read_log_end(path: Path) -> LogEnd:
    """The last lines of a log that the generator wrote to, without what a terminal would obey and the harness said."""
    try:
        text = read_regular(path, LOG_BYTES)[-64_000:].decode("utf-8", errors="replace")
    except UnreadableFileError:
        return LogEnd(path.name, [])
    lines = [_CONTROL.sub("", line.rpartition("\r")[2])[:2000] for line in text.replace("\r\n", "\n").split("\n")]
    told = [line for line in lines if line.strip() and not line.startswith(OWN_LINE)]
    return LogEnd(path.name, told[-LOG_LINES:])
