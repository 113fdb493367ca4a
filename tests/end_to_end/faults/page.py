"""The table of planted faults in docs/reliability.md, made from the tests: `python -m tests.end_to_end.faults.page`."""

from __future__ import annotations

from pathlib import Path

from tests.end_to_end.faults import (
    test_file_system_faults,
    test_generation_faults,
    test_harness_dies,
    test_interruptions,
    test_judging_faults,
    test_wall_clock,
    test_worker_faults,
)
from tests.end_to_end.faults.matrix import Fault, Row, rows_of

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reliability.md"
BEGIN, END = "<!-- from here on made by tests/end_to_end/faults/page.py -->", "<!-- made until here -->"

SECTIONS = (
    ("A `--command` that hangs, crashes, multiplies or kills", test_generation_faults),
    ("A `--command` that tampers with folders and files", test_file_system_faults),
    ("A generator of the project's own, or a plugin", test_worker_faults),
    ("Signals to the harness", test_interruptions),
    ("The death of the harness", test_harness_dies),
    ("The machine's clock", test_wall_clock),
    ("Judging, and going on with a run", test_judging_faults),
)


def table() -> str:
    """All sections, between the marks."""
    parts, count = [], 0
    for title, module in SECTIONS:
        name = module.__name__.rpartition(".")[2]
        faults: list[Fault] = getattr(module, "FAULTS", [])
        rows = [Row(fault.planted, f"`{fault.ends}`", fault.kept) for fault in faults] + rows_of(module.__name__)
        count += len(rows)
        lines = [f"| {row.planted} | {row.ends} | {row.kept} |" for row in rows]
        head = [f"### {title}", "", f"`tests/end_to_end/faults/{name}.py`", ""]
        parts.append("\n".join([*head, "| fault | how it ends | what is kept |", "|---|---|---|", *lines]))
    return "\n\n".join([BEGIN, f"{count} faults are planted.", *parts, END])


def replaced(page: str) -> str:
    """`page` with the table as the tests have it now. Raises ValueError where its marks are missing."""
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"the page has no {BEGIN} and {END}")
    return before + table() + after


if __name__ == "__main__":
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
