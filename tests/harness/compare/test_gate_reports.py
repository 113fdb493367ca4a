"""JUnit XML and Markdown of a verdict."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from harness.compare.gate import judge_gate
from harness.compare.gate_reports import junit, markdown
from tests.harness.compare.measurements import measurement

BEFORE = measurement({1: (0.60, 0.62, 0.61), 5: (0.80, 0.82, 0.81)})
WORSE = measurement({1: (0.50, 0.53, 0.51), 5: (0.80, 0.85, 0.77)}, judge_seed=1)


def test_junit_has_a_case_for_each_row() -> None:
    suite = Xml.fromstring(junit(judge_gate(BEFORE, WORSE), WORSE, evidence_required=False))
    cases = {case.get("name"): [child.tag for child in case] for case in suite}
    assert cases["accuracy at IPC 1"] == ["failure"]
    assert cases["accuracy at IPC 5"] == ["skipped"]
    assert cases["images per class"] == []
    counts = [[tag for tags in cases.values() for tag in tags].count(kind) for kind in ("failure", "skipped")]
    assert [suite.get("failures"), suite.get("skipped"), suite.get("tests")] == [*map(str, counts), str(len(cases))]


def test_what_is_not_shown_fails_where_evidence_is_required() -> None:
    suite = Xml.fromstring(junit(judge_gate(BEFORE, WORSE), WORSE, evidence_required=True))
    assert [child.tag for child in next(iter(suite.findall("testcase[@name='accuracy at IPC 5']")))] == ["failure"]


def test_markdown_is_a_table_with_its_reasons() -> None:
    text = markdown(judge_gate(BEFORE, WORSE), WORSE)
    assert text.startswith("### ❌ Accuracy gate: regression")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len({row.count("|") for row in rows}) == 1 and "| accuracy at IPC 1 | 61.00% | 51.33% | -9.67 |" in text
    assert "Rounds needed to see a drop" in text
