"""One run as one self-contained HTML page, openable offline."""

from __future__ import annotations

from pathlib import Path

from evaluation.challenge import get_challenge
from evaluation.curve import load_curve
from evaluation.durations import show_duration
from evaluation.images import ImageSet
from harness import plots
from harness.gallery import gallery
from harness.published import PUBLISHED
from harness.record import Outcome, Record
from harness.words import ENDED_BY, OUTCOMES, accuracy_words, foreseen_words, percent

TONES = {Outcome.OK: "good", Outcome.DEADLINE_TRUNCATED: "warn"}


def render(record: Record, generated: ImageSet | None, real: ImageSet | None) -> str:
    """The page of `record`, with strips of `generated` beside `real` training images where there are any."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    challenge = get_challenge(record.dataset)
    published = PUBLISHED[challenge.name]
    charts: dict[str, str] = {}
    if record.clock:
        used_s = record.clock.ended - record.clock.started
        charts["ledger"] = plots.ledger_chart(record.clock.ledger, record.budget_s, used_s)
        if record.images_over_time:
            charts["images"] = plots.images_chart(record.images_over_time, record.budget_s, used_s)
    if record.accuracy:
        curve = load_curve(challenge).at(record.accuracy.epochs)
        charts["accuracy"] = plots.accuracy_chart(record, published, curve, challenge.chance)
        charts["classes"] = plots.class_chart(record.accuracy.per_class, challenge.class_names, challenge.chance)
    environment = Environment(loader=PackageLoader("harness"), autoescape=True, undefined=StrictUndefined)
    environment.filters |= {"percent": percent, "duration": show_duration, "accuracy": accuracy_words}
    return environment.get_template("report.html").render(
        record=record,
        challenge=challenge,
        published=published,
        charts=charts,
        rows=gallery(generated, real, challenge) if generated is not None else [],
        tone=TONES.get(record.outcome, "bad"),
        meaning=OUTCOMES[record.outcome],
        ended_by=ENDED_BY,
        foreseen=foreseen_words(record.plan),
        phases=plots.PHASES,
    )


def write_report(path: Path, record: Record, generated: ImageSet | None, real: ImageSet | None) -> None:
    """Render to `path`, whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(render(record, generated, real), encoding="utf-8")
    part.replace(path)
