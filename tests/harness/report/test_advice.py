import shlex
from pathlib import Path

import pytest

from evaluation.audits.audit import Audit
from evaluation.audits.run import AUDITS
from harness.report.advice import advice
from tests.harness.records.samples import record


@pytest.mark.parametrize("name", AUDITS)
def test_every_audit_that_fails_has_advice_and_a_command(name: str) -> None:
    command = ["python", "-m", "harness", "--dataset", "digits", "--data", "/data", "--rounds=2"]
    (found,) = advice(record(audits=[Audit(name, "fail", "why")], command=command), Path("/runs/mine"))
    assert found.to_do.endswith("To check again:")
    words = "python -m evaluation audit /runs/mine/images --dataset digits --data /data"
    assert found.command == words


def test_an_order_that_the_images_suggest_is_judged() -> None:
    audits = [Audit("class_order", "fail", "why", {"order": [1, 0]}), Audit("balance", "warn", "some")]
    (found,) = advice(record(audits=audits, command=["python", "--rounds=2", "--epochs"]), Path("/a b"))
    assert shlex.split(found.command)[3:] == [
        "/a b/images", "--dataset", "digits", "--rounds", "2", "--class-order", "/a b/class_order.txt",
    ]  # fmt: skip


def test_nothing_to_mend() -> None:
    assert advice(record(audits=[Audit("balance", "warn", "some")]), Path("/runs")) == []
