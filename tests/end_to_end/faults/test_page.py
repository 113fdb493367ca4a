"""The page of faults is the one that the tests make."""

from __future__ import annotations

import re

from tests.end_to_end.faults.page import PAGE, replaced, table


def test_the_page_is_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert replaced(page) == page, "run `python -m tests.end_to_end.faults.page`"


def test_every_fault_has_a_row_of_its_own() -> None:
    sections = re.split(r"^### ", table(), flags=re.MULTILINE)[1:]
    faults = [re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE)[1:] for section in sections]  # without the heads
    assert sum(map(len, faults)) >= 40
    for names in faults:
        assert len(names) == len(set(names)) > 0
