"""What all pages share: the template environment, and the scripts that a page may run."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import Any

from evaluation.base.durations import show_duration
from evaluation.curve.real_equivalent import worth_words
from harness.cards.other_card import get_card
from harness.report.pictures import picture_uri
from harness.report.sentences import format_accuracy, format_number, format_preview, percent


def render_page(template: str, scripts: Sequence[str] = ("script.js",), **values: Any) -> str:
    """A self-contained HTML page that loads nothing from elsewhere: a template of `harness/report/templates`, filled.

    Everything but charts is escaped, and a policy in the page lets nothing run but `scripts`, which lie beside the
    templates, by their hash, nor anything be loaded. Raises jinja2.UndefinedError where the template needs a value that
    is not given.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(loader=PackageLoader("harness.report"), autoescape=True, undefined=StrictUndefined)
    environment.filters.update(
        percent=percent,
        duration=show_duration,
        number=format_number,
        accuracy=format_accuracy,
        preview=format_preview,
        worth=worth_words,
        card_title=lambda name: get_card(name).title,
        uri=picture_uri,
    )
    templates = resources.files("harness.report").joinpath("templates")
    script = "\n".join(templates.joinpath(name).read_text(encoding="utf-8") for name in scripts)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template(template).render(**values, script=script, script_hash=f"sha256-{digest}")
