"""A generator that says it copies is in the `copying` league, whatever the audit finds."""

from evaluation.audits.base.audit import Audit
from harness.run.league import with_declared_league
from submission.contract.generator import generator_names, get_generator

AUDITS = [
    Audit("leakage", "pass", "2.0% are near-copies", {"league": "generating", "train_share": 0.02}),
    Audit("balance", "pass", "between 1 and 1 images a class", {}),
]


def test_the_generators_word_counts() -> None:
    leakage, balance = with_declared_league(AUDITS, copies=True)
    assert leakage.numbers == {"league": "copying", "train_share": 0.02}
    assert leakage.status == "warn" and leakage.evidence.endswith("; 2.0% are near-copies")
    assert balance == AUDITS[1]
    assert with_declared_league(AUDITS, copies=False) == AUDITS


def test_a_fail_stays_one() -> None:
    failed = Audit("leakage", "fail", "copies of test images", {"league": "generating"})
    assert with_declared_league([failed], copies=True)[0].status == "fail"


def test_who_copies() -> None:
    assert {name for name in generator_names() if get_generator(name).info.copies} == {"real", "rded", "selection"}
