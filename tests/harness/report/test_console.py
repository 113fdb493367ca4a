from pathlib import Path

import pytest

from evaluation.audits.audit import Audit
from harness.report.console import Voice, summary
from tests.harness.records.samples import record


def test_a_failed_audit_stands_right_after_the_outcome(capsys: pytest.CaptureFixture[str]) -> None:
    audits = [Audit("class_order", "fail", "the order is wrong", {"order": [1, 0]})]
    told = record(audits=audits)
    lines = summary(told, Path("/runs/mine/report.html"))
    assert [label for label, _ in lines[:3]] == ["Outcome", "FAILED", "To do"]
    assert lines[1][1] == "class order: the order is wrong"
    assert lines[2][1].endswith("--class-order /runs/mine/class_order.txt")
    Voice().finished(told, Path("/runs/mine/report.html"))
    assert "FAILED      class order: the order is wrong" in capsys.readouterr().out


def test_what_cannot_be_told_is_not_called_a_pass(capsys: pytest.CaptureFixture[str]) -> None:
    Voice().audited([Audit("class_order", "pass", "at chance", conclusive=False), Audit("balance", "pass", "even")])
    assert capsys.readouterr().out.splitlines() == [
        "cannot tell  class order  at chance",
        "pass         balance      even",
    ]
