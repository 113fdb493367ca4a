"""The verdict of `regress` for other programs: JUnit XML and Markdown."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from harness.compare.baseline import Measurement
from harness.compare.gate import Gate, Row, Verdict
from harness.report.sentences import format_interval

COLUMNS = ("", "baseline", "now", "points", "95% interval", "verdict")
MARKS = {
    Verdict.PASSED: "✅",
    Verdict.IMPROVED: "✅",
    Verdict.REGRESSION: "❌",
    Verdict.NOT_ENOUGH_EVIDENCE: "⚠️",
    Verdict.NOT_COMPARED: "➖",
}


def cells(row: Row) -> tuple[str, ...]:
    """A row in the order of `COLUMNS`, differences in percentage points."""
    points = f"{100 * row.difference.estimate:+.2f}" if row.difference else ""
    interval = format_interval(row.difference.ci95, signed=True) if row.difference else ""
    return row.name, row.before, row.after, points, interval, row.verdict.value


def title(after: Measurement) -> str:
    """`digits, native, IPC 1, 2, 5, 20 epochs, n = 5`."""
    task = after.task
    ipc = ", ".join(map(str, task.ipc))
    return f"{task.dataset}, {after.generator}, IPC {ipc}, {task.epochs:,} epochs, n = {task.rounds}"


def markdown(gate: Gate, after: Measurement) -> str:
    """A table and its notes, as GitHub shows them."""
    lines = [f"### {MARKS[gate.verdict]} Accuracy gate: {gate.verdict.value}", "", title(after), ""]
    lines += [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    lines += [f"| {' | '.join(cells(row))} |" for row in gate.rows]
    lines += ["", *(f"- {row.name}: {row.sentence}" for row in gate.rows), *(f"- {each}" for each in gate.sentences)]
    return "\n".join(lines) + "\n"


def junit(gate: Gate, after: Measurement, evidence_required: bool) -> str:
    """One test case a row: a regression fails, what is not shown is skipped, or fails where evidence is required."""
    suite = Xml.Element("testsuite", name=f"regress: {title(after)}")
    for row in gate.rows:
        case = Xml.SubElement(suite, "testcase", classname=f"{after.task.dataset}.{after.generator}", name=row.name)
        if kind := _kind(row.verdict, evidence_required):
            Xml.SubElement(case, kind, message=row.sentence).text = " | ".join(cells(row))
    for attribute, tag in (("failures", "failure"), ("skipped", "skipped")):
        suite.set(attribute, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("tests", str(len(gate.rows)))
    Xml.indent(suite)
    return Xml.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _kind(verdict: Verdict, evidence_required: bool) -> str | None:
    if verdict is Verdict.REGRESSION:
        return "failure"
    if verdict is Verdict.NOT_ENOUGH_EVIDENCE:
        return "failure" if evidence_required else "skipped"
    return "skipped" if verdict is Verdict.NOT_COMPARED else None
