"""One run as one self-contained HTML page, openable offline."""

from collections.abc import Sequence
from contextlib import suppress

from evaluation.base.challenge import get_challenge
from evaluation.base.images import ImageSet
from evaluation.curve.curve import load_curve
from harness.gpu.telemetry import Sample, read_telemetry
from harness.records.anytime import Anytime
from harness.records.record import Outcome, Record
from harness.records.run_folder import RunFolder
from harness.report import charts
from harness.report.charts import PUBLISHED
from harness.report.page import render_page
from harness.report.pictures import audited_pairs, gallery, positions, read_exhibit
from harness.report.sentences import (
    ENDED_BY,
    OUTCOMES,
    describe_gpu,
    describe_isolation,
    describe_other_card,
    format_prediction,
    gpu_warnings,
)
from submission.contract.exhibit import Exhibit

TONES = {Outcome.OK: "good", Outcome.DEADLINE_TRUNCATED: "warn"}


def render(
    record: Record,
    generated: ImageSet | None,
    train: ImageSet | None,
    test: ImageSet | None = None,
    anytime: Anytime | None = None,
    telemetry: Sequence[Sample] = (),
    exhibit: Exhibit | None = None,
) -> str:
    """The report of a run.

    Args:
        generated: the run's images, in the order that the audits counted them in.
        train, test: the real splits, for pictures to compare with.
        exhibit: what the generator has to show of how it works.
    """
    challenge = get_challenge(record.dataset)
    published = PUBLISHED[challenge.name]
    drawn: dict[str, str] = {}
    if record.clock:
        used_s = record.clock.ended - record.clock.started
        drawn["ledger"] = charts.ledger_chart(record.clock.ledger, record.budget_s, used_s)
        if record.images_over_time:
            drawn["images"] = charts.images_chart(record.images_over_time, record.budget_s, used_s)
        if telemetry:
            memory_gb = record.gpu.memory_gb if record.gpu else None
            drawn["telemetry"] = charts.telemetry_chart(telemetry, used_s, memory_gb)
    if record.accuracy:
        curve = load_curve(challenge).at(record.accuracy.epochs)
        drawn["accuracy"] = charts.accuracy_chart(record, published, curve, challenge.chance)
        drawn["classes"] = charts.class_chart(record.accuracy, challenge.class_names, challenge.chance)
    for audit in record.audits:
        if audit.name == "class_order" and (seen := positions(audit.numbers, "seen")):
            drawn["order"] = charts.class_order_chart(seen)
    if anytime and anytime.area is not None:
        drawn["anytime"] = charts.anytime_chart(anytime)
    return render_page(
        "report.html",
        title=f"{challenge.title} · {record.generator}",
        record=record,
        challenge=challenge,
        published=published,
        charts=drawn,
        gallery=gallery(generated, train, challenge) if generated is not None else [],
        pairs=audited_pairs(record.audits, generated, train, test) if generated is not None else [],
        tone=TONES.get(record.outcome, "bad"),
        meaning=OUTCOMES[record.outcome],
        ended_by=ENDED_BY,
        isolation=describe_isolation(record),
        prediction=format_prediction(record.plan),
        phase_colours=charts.PHASE_COLOURS,
        anytime=anytime,
        exhibit=exhibit,
        gpu=describe_gpu(record.gpu) if record.gpu else "",
        estimate=describe_other_card(record.other_card) if record.other_card else "",
        warnings=gpu_warnings(record.gpu) if record.gpu else [],
    )


def report_of(
    folder: RunFolder, record: Record, generated: ImageSet | None, train: ImageSet | None, test: ImageSet | None
) -> str:
    """The report with what else lies in the run's folder, as far as it can be read: telemetry, exhibit, anytime."""
    telemetry, exhibit = read_telemetry(folder.telemetry) if record.gpu else [], read_exhibit(folder.exhibit)
    anytime = None
    with suppress(OSError, ValueError):
        anytime = Anytime.load(folder.anytime)
    return render(record, generated, train, test, anytime, telemetry, exhibit)
