from evaluation.audits.audit import CANNOT_TELL, Audit, mark_declared_copies


def test_a_pass_that_proves_nothing_is_no_pass_to_people() -> None:
    assert Audit("class_order", "pass", "").verdict == "pass"
    assert Audit("class_order", "pass", "", conclusive=False).verdict == CANNOT_TELL
    assert Audit("class_order", "warn", "", conclusive=False).verdict == CANNOT_TELL
    assert Audit("class_order", "fail", "", conclusive=False).verdict == "fail"


AUDITS = [
    Audit("leakage", "pass", "2.0% are near-copies", {"league": "generating", "train_share": 0.02}),
    Audit("balance", "pass", "between 1 and 1 images a class", {}),
]


def test_the_generators_word_counts() -> None:
    leakage, balance = mark_declared_copies(AUDITS, copies=True)
    assert leakage.numbers == {"league": "copying", "train_share": 0.02}
    assert leakage.status == "warn" and leakage.evidence.endswith("; 2.0% are near-copies")
    assert balance == AUDITS[1]
    assert mark_declared_copies(AUDITS, copies=False) == AUDITS


def test_a_fail_stays_one() -> None:
    failed = Audit("leakage", "fail", "copies of test images", {"league": "generating"})
    assert mark_declared_copies([failed], copies=True)[0].status == "fail"
