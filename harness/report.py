"""One run as one self-contained HTML page, openable offline."""

from __future__ import annotations

from pathlib import Path

from evaluation.challenge import get_challenge
from evaluation.images import ImageSet
from harness import plots
from harness.durations import show_duration
from harness.gallery import gallery
from harness.published import PUBLISHED
from harness.record import AccuracyPart, Outcome, Record

OUTCOMES = {
    Outcome.OK: ("good", "ended by itself before the deadline"),
    Outcome.DEADLINE_TRUNCATED: ("warn", "still running at the deadline and killed; what was whole by then counts"),
    Outcome.CRASHED: ("bad", "ended with an error; what was whole by then counts"),
    Outcome.OUT_OF_MEMORY: ("bad", "ran out of memory; what was whole by then counts"),
    Outcome.NO_IMAGES: ("bad", "left no whole image"),
    Outcome.INVALID_OUTPUT: ("bad", "left an output folder that cannot be read as labelled images"),
    Outcome.INTERRUPTED: ("bad", "stopped by hand before it was done"),
}


def percent(accuracy: float) -> str:
    return f"{100 * accuracy:.2f}%"


def accuracy_words(accuracy: AccuracyPart) -> str:
    """`33.10% [32.40, 33.80], n = 3`; the brackets are the 95% interval."""
    interval = ""
    if accuracy.ci95:
        interval = f" [{100 * accuracy.ci95[0]:.2f}, {100 * accuracy.ci95[1]:.2f}]"
    return f"{percent(accuracy.mean)}{interval}, n = {len(accuracy.rounds)}"


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
        charts["images"] = plots.images_chart(record.images_over_time, record.budget_s)
    if record.accuracy:
        charts["accuracy"] = plots.accuracy_chart(record, published, challenge.chance)
        charts["classes"] = plots.class_chart(record.accuracy.per_class, challenge.chance)
    environment = Environment(loader=PackageLoader("harness"), autoescape=True, undefined=StrictUndefined)
    environment.filters |= {"percent": percent, "duration": show_duration, "accuracy": accuracy_words}
    tone, meaning = OUTCOMES[record.outcome]
    return environment.get_template("report.html").render(
        record=record,
        challenge=challenge,
        published=published,
        charts=charts,
        rows=gallery(generated, real, challenge) if generated is not None else [],
        tone=tone,
        meaning=meaning,
        phases=plots.PHASES,
    )


def write_report(path: Path, record: Record, generated: ImageSet | None, real: ImageSet | None) -> None:
    """Render to `path`, whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(render(record, generated, real), encoding="utf-8")
    part.replace(path)
