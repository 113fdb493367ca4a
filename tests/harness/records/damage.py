"""Records that cannot be trusted: a real one, full of everything, with a few of its values replaced by hostile ones."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

from hypothesis import strategies

from evaluation.audits.audit import Audit
from evaluation.curve.real_equivalent import RealEquivalent
from harness.gpu.telemetry import GpuSummary
from harness.records.record import BaselinePart, FilesPart, GeneratorPart, Record
from tests.harness.records.samples import accuracy

HTML, ESCAPE = "<script>alert(1)</script>", "\x1b[31m\x9b2J\x07"
HOSTILE = (
    *(None, True, -1, 0, 3, 10**30, 10**400, 1e308, -1e-9, 0.5, float("nan"), float("inf")),
    *("", "digits", HTML, ESCAPE, "$\\frac{", "[/red] [bold", "\u202eabc\u2028", "x" * 5000, "../../etc"),
    *([], {}, [[]], [1, 2], [-1] * 10, [99] * 10, ["a"], [None], [0.5] * 3, {"a": {"b": []}}),
)
REMOVED = object()


def full_record() -> dict[str, Any]:
    """A record as JSON, with every part that one may have."""
    old = Record.load(Path(__file__).parent / "old" / "other-card-and-copies.json")
    told = old.model_copy(
        update={
            "declared": GeneratorPart(
                summary="noise", external_data="none", pretrained="nothing", weights_from="nowhere", licence="MIT"
            ),
            "detail": "a sentence",
            "files": FilesPart(dropped=1, examples=["a.png: damaged image"], warnings=["a warning"]),
            "audits": [
                Audit("class_order", "fail", "evidence", {"seen": list(range(10)), "order": list(range(10))}),
                Audit("leakage", "warn", "evidence", {"league": "copying", "closest": [0], "closest_training": [0]}),
                Audit("duplicates", "pass", "evidence", {"repeats": [1], "repeated": [0]}),
            ],
            "accuracy": accuracy(),
            "baseline": BaselinePart(ipc=6.0, accuracy=accuracy()),
            "real_equivalent_ipc": 4.5,
            "real_equivalent": RealEquivalent(4.5, (3.0, None), 50),
            "gpu": GpuSummary(name="A card", count=2, throttled=True, throttled_share=0.5, limits={"power_brake": 0.5}),
        }
    )
    content: dict[str, Any] = json.loads(told.to_json())
    return content


def places(told: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Where there is a value in a tree of dictionaries and lists; of a long list its first values."""
    inner = told.items() if isinstance(told, dict) else enumerate(told[:3]) if isinstance(told, list) else ()
    return [*([at] if at else []), *(place for name, value in inner for place in places(value, (*at, name)))]


def damaged(changes: list[tuple[tuple[str | int, ...], Any]]) -> bytes:
    """The full record as a file, with these values at these places; a change of what is gone changes nothing."""
    told = full_record()
    for place, value in changes:
        inner = told
        try:
            for name in place[:-1]:
                inner = inner[name]  # type: ignore[index]
            if value is REMOVED:
                del inner[place[-1]]  # type: ignore[arg-type]
            else:
                inner[place[-1]] = deepcopy(value)  # type: ignore[index]
        except (LookupError, TypeError):
            continue
    return json.dumps(told).encode()


PLACES = places(full_record())
CHANGES = strategies.lists(
    strategies.tuples(strategies.sampled_from(PLACES), strategies.sampled_from([*HOSTILE, REMOVED])),
    min_size=1,
    max_size=3,
)
FILES = strategies.one_of(CHANGES.map(damaged), CHANGES.map(damaged), strategies.binary(max_size=40))
