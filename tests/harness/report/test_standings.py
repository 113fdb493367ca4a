import pytest

from evaluation.audits.audit import Audit
from harness.records.record import BaselinePart, Record
from harness.report.published import PUBLISHED
from harness.report.standings import Standing, standings
from tests.harness.records.samples import accuracy, record


def ours(told: Record) -> Standing:
    (row,) = (row for row in standings(told, PUBLISHED["cifar100"]) if row.kind == "ours")
    return row


def test_this_run_is_ranked_among_what_was_made_in_time() -> None:
    rows = standings(record(accuracy=accuracy(mean=0.45)), PUBLISHED["cifar100"])
    assert [row.accuracy for row in rows] == sorted((row.accuracy for row in rows), reverse=True)
    assert [row.rank for row in rows] == ["–", "1", "–", "2", "3", "4", "5", "6"]
    assert {row.method.partition(" ")[0] for row in rows if row.rank == "–"} == {"all", "M-DATM"}
    found = ours(record(accuracy=accuracy(mean=0.0001)))
    assert (found.rank, found.spread, found.rounds, found.how) == ("6", "[88.00, 92.00]", 3, "full protocol")


def test_a_preview_has_its_rank_in_brackets() -> None:
    found = ours(record(accuracy=accuracy(mean=0.1, preview=True, epochs=20, rounds=[0.1], ci95=None, std=None)))
    assert (found.rank, found.spread, found.rounds, found.how) == ("(2)", "", 1, "preview: 20 epochs, 1 round")


@pytest.mark.parametrize(
    "audit", [Audit("leakage", "warn", "", {"league": "copying"}), Audit("balance", "fail", "few", {})]
)
def test_what_copies_or_failed_has_no_rank(audit: Audit) -> None:
    assert ours(record(audits=[audit])).rank == "–"


def test_real_images_stand_beside_unranked_and_a_run_that_was_not_judged_has_no_row() -> None:
    baseline = BaselinePart(ipc=2.0, accuracy=accuracy(mean=0.95))
    rows = standings(record(accuracy=None, baseline=baseline), ())
    assert [(row.kind, row.rank) for row in rows] == [("real", "–")]
