from evaluation.audits.audit import CANNOT_TELL, Audit


def test_a_pass_that_proves_nothing_is_no_pass_to_people() -> None:
    assert Audit("class_order", "pass", "").verdict == "pass"
    assert Audit("class_order", "pass", "", conclusive=False).verdict == CANNOT_TELL
    assert Audit("class_order", "warn", "", conclusive=False).verdict == CANNOT_TELL
    assert Audit("class_order", "fail", "", conclusive=False).verdict == "fail"
