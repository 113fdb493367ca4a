"""All audits of a submission, in a fixed order."""

from __future__ import annotations

from evaluation.audits.balance import audit_balance
from evaluation.audits.base.audit import Audit
from evaluation.audits.base.probe import load_probe
from evaluation.audits.copies.duplicates import audit_duplicates
from evaluation.audits.copies.leakage import audit_leakage
from evaluation.audits.diversity import audit_diversity
from evaluation.audits.files import audit_files
from evaluation.audits.order.class_order import audit_class_order
from evaluation.audits.pixels.pixels import audit_pixels
from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet, NormalisedSet, to_pixels
from evaluation.submitted.contents import FolderContents


def run_audits(
    contents: FolderContents,
    challenge: Challenge,
    train: ImageSet | None,
    test: ImageSet | NormalisedSet | None,
) -> list[Audit]:
    """Every audit of what was read.

    Args:
        contents: at least one image.
        train, test: the real splits; without one, what needs it is left out and the leakage audit says so.
    """
    probe = load_probe(challenge)
    pixels = to_pixels(contents.images, challenge)
    real_test = None if test is None else to_pixels(test, challenge)
    return [
        audit_class_order(pixels, challenge, probe),
        audit_leakage(pixels, challenge, train, real_test),
        audit_duplicates(pixels, challenge),
        audit_diversity(pixels, challenge, probe.facts),
        audit_balance(contents.images, challenge),
        audit_pixels(contents, pixels, challenge, probe.facts),
        audit_files(contents),
    ]
