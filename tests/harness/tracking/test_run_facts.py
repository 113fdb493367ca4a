"""What of a run goes to a tracker."""

from __future__ import annotations

from pathlib import Path

from evaluation.audits.audit import Audit
from harness.records.run_folder import RunFolder
from harness.tracking.run_facts import run_facts
from tests.harness.records.samples import record


def test_everything_that_a_record_knows_and_nothing_that_it_does_not(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "mine")
    audits = [Audit("leakage", "warn", "near"), Audit("balance", "pass", "even"), Audit("pixels", "fail", "grey")]
    of = record(audits=audits, settings={"guidance": "2"}, commit="abc")
    of.save(folder.record)
    facts = run_facts(folder, of)
    assert (facts.name, facts.rounds, facts.files) == ("mine", (0.89, 0.9, 0.91), (folder.record,))
    assert facts.params["settings.guidance"] == "2" and facts.params["epochs"] == "1000" and facts.params["seed"] == "0"
    assert facts.metrics["accuracy"] == 0.9 and facts.metrics["accuracy.low"] == 0.88 and facts.metrics["ipc"] == 2.0
    assert facts.metrics["seconds"] == 40.0 and facts.metrics["seconds.generate"] == 37.0
    assert [facts.metrics[f"audit.{name}"] for name in ("balance", "leakage", "pixels")] == [0.0, 1.0, 2.0]
    assert "ipc.distinct" not in facts.metrics and "real_equivalent_ipc" not in facts.metrics
    assert facts.tags["commit"] == "abc" and facts.tags["protocol"] == "full"


def test_a_run_that_gave_nothing_is_sent_too(tmp_path: Path) -> None:
    facts = run_facts(RunFolder(tmp_path), record(accuracy=None, ipc=None, clock=None, throughput=None, images=0))
    assert facts.metrics == {"images": 0.0} and facts.rounds == () and facts.files == ()
    assert facts.tags["protocol"] == "not judged" and facts.tags["commit"] == "unknown"
