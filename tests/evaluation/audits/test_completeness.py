"""The audits of balance and of files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from evaluation.audits.completeness import audit_balance, audit_files
from evaluation.base.images import ImageSet
from evaluation.submitted.reading import read_images
from tests.evaluation.audits.audit_cases import CIFAR, DIGITS


def _counts(counts: list[int]) -> ImageSet:
    labels = np.repeat(np.arange(len(counts)), counts)
    return ImageSet(np.zeros((len(labels), 3, 32, 32), np.uint8), labels)


def test_even_and_nearly_even_sets_pass() -> None:
    for counts in ([1] * 100, [50] * 100, [8] * 60 + [7] * 40, [2] * 50 + [1] * 50):
        audit = audit_balance(_counts(counts), CIFAR)
        assert audit.status == "pass", audit.evidence


def test_missing_and_short_classes() -> None:
    audit = audit_balance(_counts([0] + [5] * 99), CIFAR)
    assert (audit.status, audit.numbers["missing"]) == ("warn", ["000-apple"])
    assert audit.evidence == "between 0 and 5 images per class, 5.0 on average; 1 of 100 classes have none"
    audit = audit_balance(_counts([2] + [5] * 99), CIFAR)
    assert (audit.status, audit.numbers["short"]) == ("warn", 1)
    audit = audit_balance(_counts([400] + [5] * 99), CIFAR)
    assert (audit.status, audit.numbers["crowded"], audit.numbers["short"]) == ("warn", 1, 0)
    assert "1 have more than twice the median" in audit.evidence
    assert audit_balance(_counts([0] * 10 + [5] * 90), CIFAR).status == "fail"
    assert audit_balance(_counts([5] * 50), CIFAR).status == "fail"


def test_files_left_out(tmp_path: Path) -> None:
    for label in range(10):
        (tmp_path / str(label)).mkdir()
        for index in range(2):
            Image.new("RGB", (32, 32)).save(tmp_path / str(label) / f"{index}.png")
    clean = audit_files(read_images(tmp_path, DIGITS))
    assert (clean.status, clean.evidence) == ("pass", "all 20 files were complete and readable")
    (tmp_path / "0" / "2.png.part").write_bytes(b"x")
    some = audit_files(read_images(tmp_path, DIGITS))
    assert some.status == "warn"
    assert some.evidence == "1 file was left out (1 unfinished *.part file), 1 of them half-written"
    assert some.numbers["first"] == ["0/2.png.part: unfinished *.part file"]
    for index in range(3):
        (tmp_path / "1" / f"x{index}.png").write_bytes(b"no image")
    assert audit_files(read_images(tmp_path, DIGITS)).status == "fail"
