"""One run as one self-contained HTML page, openable offline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from evaluation.base.challenge import get_challenge
from evaluation.base.durations import show_duration
from evaluation.base.files import write_text
from evaluation.base.images import ImageSet
from evaluation.curve.curve import load_curve
from evaluation.curve.real_equivalent import worth_words
from harness.cards.other_card import get_card
from harness.gpu.telemetry import Sample, read_telemetry
from harness.records.anytime import Anytime
from harness.records.record import Outcome, Record
from harness.records.run_folder import RunFolder
from harness.report import charts
from harness.report.pictures import audited_pairs, gallery, picture_uri, positions, read_exhibit
from harness.report.published import PUBLISHED
from harness.report.sentences import (
    ENDED_BY,
    OUTCOMES,
    accuracy_words,
    figure,
    foreseen_words,
    gpu_marks,
    gpu_words,
    other_card_words,
    percent,
    preview_words,
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
    """The page of `record`, with pictures of what was `generated` beside real ones where there are any.

    Args:
        anytime: accuracy by the seconds used, where it was measured.
        telemetry: samples of the card, where there is one.
        exhibit: what the generator had to show.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    challenge = get_challenge(record.dataset)
    published = PUBLISHED[challenge.name]
    drawn: dict[str, str] = {}
    if record.clock:
        used_s = record.clock.ended - record.clock.started
        drawn["ledger"] = charts.ledger_chart(record.clock.ledger, record.budget_s, used_s)
        if record.images_over_time:
            drawn["images"] = charts.images_chart(record.images_over_time, record.budget_s, used_s)
    if record.accuracy:
        curve = load_curve(challenge).at(record.accuracy.epochs)
        drawn["accuracy"] = charts.accuracy_chart(record, published, curve, challenge.chance)
        drawn["classes"] = charts.class_chart(record.accuracy, challenge.class_names, challenge.chance)
    for audit in record.audits:
        if audit.name == "class_order" and (seen := positions(audit.numbers, "seen")):
            drawn["order"] = charts.class_order_chart(seen)
    if anytime and anytime.area is not None:
        drawn["anytime"] = charts.anytime_chart(anytime)
    if telemetry and record.clock:
        memory_gb = record.gpu.memory_gb if record.gpu else None
        drawn["telemetry"] = charts.telemetry_chart(telemetry, record.clock.ended - record.clock.started, memory_gb)
    environment = Environment(loader=PackageLoader("harness.report"), autoescape=True, undefined=StrictUndefined)
    filters: dict[str, Callable[..., str]] = {
        "percent": percent,
        "duration": show_duration,
        "accuracy": accuracy_words,
        "worth": worth_words,
        "preview": preview_words,
        "card_title": lambda name: get_card(name).title,
        "figure": figure,
        "uri": picture_uri,
    }
    environment.filters |= filters
    return environment.get_template("report.html").render(
        record=record,
        challenge=challenge,
        published=published,
        charts=drawn,
        rows=gallery(generated, train, challenge) if generated is not None else [],
        pairs=audited_pairs(record.audits, generated, train, test) if generated is not None else [],
        tone=TONES.get(record.outcome, "bad"),
        meaning=OUTCOMES[record.outcome],
        ended_by=ENDED_BY,
        foreseen=foreseen_words(record.plan),
        phases=charts.PHASE_COLOURS,
        anytime=anytime,
        exhibit=exhibit,
        card=gpu_words(record.gpu) if record.gpu else "",
        estimate=other_card_words(record.other_card) if record.other_card else "",
        marks=gpu_marks(record.gpu) if record.gpu else [],
    )


def write_report(
    path: Path, record: Record, generated: ImageSet | None, train: ImageSet | None, test: ImageSet | None
) -> None:
    """Render to `path`, whole or not at all, with what else was measured and lies in the same folder."""
    folder = RunFolder(path.parent)
    telemetry = read_telemetry(folder.telemetry) if record.gpu else []
    exhibit = read_exhibit(folder.exhibit)
    page = render(record, generated, train, test, Anytime.load(folder.anytime), telemetry, exhibit)
    write_text(path, page)
