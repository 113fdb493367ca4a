"""The audits of a submission. A new one is a function in a file here and an entry in `AUDITS`."""

from collections.abc import Callable
from dataclasses import dataclass

from evaluation.audits.audit import Audit, Finding
from evaluation.audits.class_order import audit_class_order
from evaluation.audits.completeness import audit_balance, audit_files
from evaluation.audits.diversity import audit_diversity
from evaluation.audits.duplicates import audit_duplicates
from evaluation.audits.leakage import audit_leakage
from evaluation.audits.pixels import audit_pixels
from evaluation.audits.probe import Probe, load_probe
from evaluation.audits.whitening import WHITENED, are_whitened
from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet, NormalisedSet, denormalise
from evaluation.submitted.folder import FolderContents


@dataclass(frozen=True)
class AuditInput:
    """What audits may look at: what was read, at least one image; the same in 8 bits; the real splits, if any."""

    challenge: Challenge
    contents: FolderContents
    pixels: ImageSet
    train: ImageSet | None
    test: ImageSet | None
    probe: Probe


# Seconds that the slow audits took of 50,000 images of CIFAR-100 on one core, to show how far all are; others take one.
_SLOW = {"class_order": 7.0, "leakage": 35.0, "duplicates": 30.0}

# The keys are the audits' names, in the order of reports; records store them.
AUDITS: dict[str, Callable[[AuditInput], Finding]] = {
    "class_order": lambda given: _class_order(given),
    "leakage": lambda given: audit_leakage(given.pixels, given.challenge, given.train, given.test),
    "duplicates": lambda given: audit_duplicates(given.pixels, given.challenge),
    "diversity": lambda given: audit_diversity(given.pixels, given.challenge, given.probe.facts),
    "balance": lambda given: audit_balance(given.contents.images, given.challenge),
    "pixels": lambda given: audit_pixels(given.contents, given.pixels, given.challenge, given.probe.facts),
    "files": lambda given: audit_files(given.contents),
}


def _class_order(given: AuditInput) -> Finding:
    if are_whitened(given.contents.images):
        return Finding(
            "warn", f"it cannot be told: the images seem to be normalised by {WHITENED}", {}, conclusive=False
        )
    return audit_class_order(given.pixels, given.challenge, given.probe)


def run_audits(
    contents: FolderContents,
    challenge: Challenge,
    train: ImageSet | None,
    test: ImageSet | NormalisedSet | None,
    on_progress: Callable[[float, str], None] = lambda fraction, name: None,
) -> list[Audit]:
    """Run every audit on what was read. Without a real split, checks that need it are left out, as leakage tells.

    `on_progress` takes the fraction done, in [0, 1), and the name of the audit that begins.
    """
    pixels = denormalise(contents.images, challenge)
    real_test = None if test is None else denormalise(test, challenge)
    given = AuditInput(challenge, contents, pixels, train, real_test, load_probe(challenge))
    whole, done, audits = sum(_SLOW.get(name, 1.0) for name in AUDITS), 0.0, []
    for name, audit in AUDITS.items():
        on_progress(done / whole, name.replace("_", " "))
        audits.append(Audit(name, *audit(given)))
        done += _SLOW.get(name, 1.0)
    return audits
