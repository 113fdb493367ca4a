"""Are there copies of test images, or stored copies of training images, among the submitted ones?"""

from __future__ import annotations

from dataclasses import dataclass

from evaluation.audits.base.audit import Audit, Number, Status
from evaluation.audits.copies.copies import RealSet, TestCopies, TrainingCopies, test_copies, training_copies
from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet


@dataclass(frozen=True)
class _Measured:
    """What holds of real images, measured between the two splits; tests/evaluation/audits/test_leakage.py holds it.

    Attributes:
        near: correlation from which two pictures are near-copies.
        real_share: share of test images that have a near-copy in the training split.
        in_both: test images that are, pixel by pixel, training images as well, also but for rounding.
        odds: size of the test split against that of the training split.
        turned: correlation from which a picture is a changed copy of another; above 1 where pictures are too simple.
        real_turned: share of test images that are, by this, changed copies of training images and not near-copies:
            the same photograph cut or coloured otherwise, and a few horizons and rockets that happen to fit.
    """

    near: float
    real_share: float
    in_both: int
    odds: float
    turned: float
    real_turned: float


_MEASURED = {
    "cifar100": _Measured(0.98, 0.0056, 10, 0.2, turned=0.94, real_turned=0.0376),
    "tiny-imagenet": _Measured(0.98, 0.0007, 5, 0.1, turned=0.92, real_turned=0.0032),
    "digits": _Measured(0.99, 0.005, 0, 0.5, turned=2.0, real_turned=0.0),
}
_TOLERATED = 0.01  # share of copies of training images beyond twice what real images show
_SURE = 4.0  # standard deviations above what innocence explains


def audit_leakage(images: ImageSet, challenge: Challenge, train: ImageSet | None, test: ImageSet | None) -> Audit:
    """Look for copies of real images: as they are, mirrored, brightened, or changed.

    Changed ones are turned by quarters and up to 12 degrees beside, shifted up to 4 pixels of 32, cropped down to 28 of
    32 pixels, upside down, negative, with swapped channels or without colour; of more than 10,000 images a sample
    is looked through for them. Digits are too simple for this.

    Copies of test images fail the audit, unless training images explain them: CIFAR-100 has ten images in both splits,
    and more that look alike. Of what is the same as a test image but for rounding, one is enough. Copies of training
    images beyond twice the share that real images show among themselves are a warning and put the submission in a
    league of its own. What was not looked for has not been passed: without both splits it is a warning at least.

    Args:
        train, test: the real splits, None where they are not at hand; the sentence says what was not looked for.

    Numbers: `test_copies` (blamed), of these `test_exact` (in every pixel), `test_stored` (but for rounding) and
    `test_turned` (changed), `known_duplicates` (copies of images in both splits) and the first 50 of them (`known`,
    `known_test`), `train_share`, `real_share`, of changed copies `turned_share` and `real_turned_share`, `league`
    (`generating` or `copying`); and to look at, positions of the `closest` images and of the training images they are
    closest to (`closest_training`), and of test copies (`copied`, `copied_test`). Absent where not looked for.
    """
    measured = _MEASURED[challenge.name]
    changed = measured.turned <= 1
    training = RealSet(train.images, changed) if train is not None else None
    numbers: dict[str, Number] = {"real_share": measured.real_share}
    if changed:
        numbers["real_turned_share"] = measured.real_turned
    status: Status = "pass" if train is not None and test is not None else "warn"
    allowed, told_train = _allowed_unexplained(measured), "training images were not at hand"
    if training is not None and train is not None:
        found = training_copies(images.images, training, measured.near, measured.turned)
        copying = _is_copying(found, measured)
        numbers |= {"train_share": found.near / found.looked, "league": "copying" if copying else "generating"}
        numbers |= {"closest": found.pairs.images, "closest_training": found.pairs.references}
        status = "warn" if copying else status
        near = f"{found.near / found.looked:.1%}"
        told_train = f"{near} are near-copies of training images (real images: {measured.real_share:.1%})"
        if changed:
            turned_share = found.turned / found.turned_looked
            numbers["turned_share"] = turned_share
            told_train += f", {turned_share:.1%} are changed copies (real images: {measured.real_turned:.1%})"
        if test is not None:
            allowed = _allowed(found, measured, len(test) / len(train))
    if test is None:
        return Audit("leakage", status, f"test images were not at hand; {told_train}", numbers)
    copies = test_copies(images.images, training, RealSet(test.images, changed), measured.near, measured.turned)
    numbers |= {"test_copies": copies.near + copies.turned, "test_exact": copies.exact}
    numbers |= {"test_stored": copies.stored, "known_duplicates": copies.known}
    if changed:
        numbers["test_turned"] = copies.turned
    numbers |= {"known": copies.known_pairs.images, "known_test": copies.known_pairs.references}
    numbers |= {"copied": copies.pairs.images, "copied_test": copies.pairs.references}
    if _is_leak(copies, allowed, len(images)):
        status = "fail"
    return Audit("leakage", status, f"{_told_test(copies, len(images), changed)}; {told_train}", numbers)


@dataclass(frozen=True)
class _Allowed:
    """What an innocent generator comes to: shares of its images near a test image and turned ones, stored copies.

    With training images at hand, it comes near test images as often as it comes near as many training images without
    storing them, and no less often than new real images do; to changed ones, no more often than these. Without, what is
    in both splits or looks alike cannot be told from a leak and is allowed.
    """

    near: float
    turned: float
    stored: int


def _allowed(found: TrainingCopies, measured: _Measured, odds: float) -> _Allowed:
    near = max(found.unstored / found.looked * odds, measured.real_share * measured.odds)
    # One more than were found, so that finding none does not mean that none is ever to be expected.
    turned = min((found.turned + 1) / found.turned_looked * odds, measured.real_turned * measured.odds)
    return _Allowed(near, turned, stored=0)


def _allowed_unexplained(measured: _Measured) -> _Allowed:
    return _Allowed(2 * measured.real_share, 2 * measured.real_turned * measured.odds, measured.in_both)


def _is_copying(found: TrainingCopies, measured: _Measured) -> bool:
    return _beyond(found.near, (2 * measured.real_share + _TOLERATED) * found.looked) or _beyond(
        found.turned, (2 * measured.real_turned + _TOLERATED) * found.turned_looked
    )


def _is_leak(copies: TestCopies, allowed: _Allowed, images: int) -> bool:
    return (
        copies.stored > allowed.stored
        or _beyond(copies.near, allowed.near * images)
        or _beyond(copies.turned, allowed.turned * copies.looked)
    )


def _told_test(copies: TestCopies, images: int, changed: bool) -> str:
    """In words; of changed copies only where they were looked for."""
    kinds = [f"{copies.exact:,} in every pixel", f"{copies.stored - copies.exact:,} but for rounding"]
    kinds += [f"{copies.turned:,} turned, shifted, cropped or recoloured"] if changed else []
    told = f"{copies.near + copies.turned:,} of {images:,} images are copies of test images ({', '.join(kinds)})"
    return told if not copies.known else f"{told}, {copies.known:,} more of what is in both splits of the data set"


def _beyond(found: int, innocent: float) -> bool:
    """Whether `found` is surely more than the number that innocence leads to expect."""
    return found > innocent + _SURE * innocent**0.5 + 1
