"""All audits together: quiet on clean sets, each on its own fault, values fit for JSON."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from evaluation.audits.run import run_audits
from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet, NormalisedSet, normalise
from evaluation.submitted.folder import FolderContents
from tests.evaluation.audits.audit_cases import CIFAR, DIGITS, TINY, contents_of, per_class, real_split

# What records have held since the first: renaming an audit would hide it from those who read them.
_NAMES = ["class_order", "leakage", "duplicates", "diversity", "balance", "pixels", "files"]


@pytest.mark.parametrize("challenge", [DIGITS, CIFAR], ids=lambda c: c.name)
@pytest.mark.parametrize("ipc", [1, 10, pytest.param(50, marks=pytest.mark.slow)])
def test_clean_sets_pass_every_audit(challenge: Challenge, ipc: int) -> None:
    train, test = real_split(challenge, "train"), real_split(challenge, "test")
    clean, rest = per_class(train, ipc), per_class(train, 50, skip=ipc)
    audits = run_audits(contents_of(clean), challenge, rest, test)
    assert [audit.name for audit in audits] == _NAMES
    assert {audit.name: audit.status for audit in audits} == dict.fromkeys(_NAMES, "pass"), audits
    for audit in audits:
        assert audit.evidence
        assert "\n" not in audit.evidence
    json.dumps([asdict(audit) for audit in audits], allow_nan=False)


def test_a_clean_set_of_tiny_imagenet_passes_every_audit() -> None:
    images = real_split(TINY, "test")
    audits = run_audits(
        contents_of(per_class(images, 10)), TINY, per_class(images, 20, skip=10), per_class(images, 20, skip=30)
    )
    assert {audit.name: audit.status for audit in audits} == dict.fromkeys(_NAMES, "pass"), audits


def test_floats_are_audited_as_pixels_and_as_floats() -> None:
    images = per_class(real_split(DIGITS, "train"), 10)
    floats = NormalisedSet(normalise(images.images, DIGITS) * 2, images.labels)
    audits = {audit.name: audit for audit in run_audits(FolderContents(floats, ()), DIGITS, None, None)}
    assert audits["pixels"].status != "pass"
    assert audits["class_order"].status == "pass"
    assert audits["leakage"].evidence == "the test images were not available; the training images were not available"
    assert audits["leakage"].status == "warn", "what was not looked for is not passed"


def test_each_fault_shows_where_it_belongs() -> None:
    train, test = real_split(DIGITS, "train"), real_split(DIGITS, "test")
    clean, rest = per_class(train, 10), per_class(train, 60, skip=10)
    shifted = ImageSet(clean.images, (clean.labels + 1) % 10)
    leaked = clean.images.copy()
    leaked[:5] = test.images[:5]
    repeated = clean.images.copy()
    for label in range(10):
        of_class = np.flatnonzero(clean.labels == label)
        repeated[of_class[2:]] = np.rot90(repeated[of_class[:2]], 1, (2, 3)).repeat(4, 0)
    faults = {
        "class_order": shifted,
        "leakage": ImageSet(leaked, clean.labels),
        "duplicates": ImageSet(repeated, clean.labels),
        "balance": clean.take(np.flatnonzero(clean.labels != 3)),
        "pixels": ImageSet((clean.images > 127).astype(np.uint8), clean.labels),
    }
    for name, images in faults.items():
        audits = {audit.name: audit.status for audit in run_audits(contents_of(images), DIGITS, rest, test)}
        assert audits[name] != "pass", name
