"""Are there copies of test images, or stored training images, in the submission?"""

from dataclasses import dataclass

from evaluation.audits.audit import Finding, Number, Status, worst
from evaluation.audits.real_copies import RealSet, TestCopies, TrainingCopies, test_copies, training_copies
from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet


@dataclass(frozen=True)
class _RealRates:
    """How often real images are copies of each other, measured between the splits and verified by the slow tests.

    Attributes:
        near: correlation from which two images are near-copies.
        near_fraction: fraction of test images that have a near-copy in the training split.
        in_both: test images that are training images too, pixel by pixel or up to rounding.
        test_to_train: size of the test split over that of the training split.
        altered: correlation from which an image is an altered copy of another; above 1 where images are too simple.
        altered_fraction: fraction of test images that are altered copies of training images and not near-copies: the
            same photograph cropped or coloured differently, and a few horizons and rockets that happen to match.
    """

    near: float
    near_fraction: float
    in_both: int
    test_to_train: float
    altered: float
    altered_fraction: float


_REAL_RATES = {
    "cifar100": _RealRates(0.98, 0.0056, 10, 0.2, altered=0.94, altered_fraction=0.0376),
    "tiny-imagenet": _RealRates(0.98, 0.0007, 5, 0.1, altered=0.92, altered_fraction=0.0032),
    "digits": _RealRates(0.99, 0.005, 0, 0.5, altered=2.0, altered_fraction=0.0),
}
_TOLERATED = 0.01  # fraction of copies of training images beyond twice that of real images
_SIGNIFICANT = 4.0  # standard deviations above the expected count


def audit_leakage(images: ImageSet, challenge: Challenge, train: ImageSet | None, test: ImageSet | None) -> Finding:
    """Look for copies of real images: unchanged, mirrored, brightened, or altered.

    Altered copies are rotated by quarter turns and up to 12 degrees on top, shifted up to 4 pixels of 32, cropped down
    to 28 of 32 pixels, upside down, negative, with swapped channels or without colour; of more than 10,000 images a
    sample is searched for them. Digits are too simple for this.

    Copies of test images fail the audit, unless training images explain them: CIFAR-100 has ten images in both splits,
    and more that look alike. One image that equals a test image up to rounding is enough. Copies of training images
    beyond twice the rate of real images are a warning and put the submission into the `copying` category. What was not
    searched for has not passed: without both splits the audit warns at least.

    Args:
        train, test: the real splits, None where not available; the evidence says what was not searched for.

    Numbers: `test_copies` (unexplained), of these `test_exact` (in every pixel), `test_stored` (up to rounding) and
    `test_turned` (altered), `known_duplicates` (copies of images in both splits) and the first 50 of them (`known`,
    `known_test`), `train_share`, `real_share`, of altered copies `turned_share` and `real_turned_share`, `league`
    (`generating` or `copying`); and to look at, positions of the `closest` images and of the training images they are
    closest to (`closest_training`), and of test copies (`copied`, `copied_test`). Absent where not searched for.
    """
    rates = _REAL_RATES[challenge.name]
    search_altered = rates.altered <= 1
    numbers: dict[str, Number] = {"real_share": rates.near_fraction}
    if search_altered:
        numbers["real_turned_share"] = rates.altered_fraction
    statuses: list[Status] = ["pass" if train is not None and test is not None else "warn"]
    real_train, allowed = None, _allowed_without_train(rates)
    train_evidence = "the training images were not available"
    if train is not None:
        real_train = RealSet(train.images, search_altered)
        found = training_copies(images.images, real_train, rates.near, rates.altered)
        copying = _is_copying(found, rates)
        statuses.append("warn" if copying else "pass")
        near_fraction, altered_fraction = found.near / found.sampled, found.altered / found.altered_sampled
        numbers |= {"train_share": near_fraction, "league": "copying" if copying else "generating"}
        numbers |= {"closest": found.pairs.images, "closest_training": found.pairs.references}
        train_evidence = (
            f"{near_fraction:.1%} are near-copies of training images (real images: {rates.near_fraction:.1%})"
        )
        if search_altered:
            numbers["turned_share"] = altered_fraction
            train_evidence += f", {altered_fraction:.1%} are altered copies (real images: {rates.altered_fraction:.1%})"
        if test is not None:
            allowed = _allowed(found, rates, len(test) / len(train))
    if test is None:
        return Finding(worst(statuses), f"the test images were not available; {train_evidence}", numbers)
    copies = test_copies(images.images, real_train, RealSet(test.images, search_altered), rates.near, rates.altered)
    numbers |= {"test_copies": copies.near + copies.altered, "test_exact": copies.exact}
    numbers |= {"test_stored": copies.stored, "known_duplicates": copies.known}
    if search_altered:
        numbers["test_turned"] = copies.altered
    numbers |= {"known": copies.known_pairs.images, "known_test": copies.known_pairs.references}
    numbers |= {"copied": copies.pairs.images, "copied_test": copies.pairs.references}
    statuses.append("fail" if _is_leak(copies, allowed, len(images)) else "pass")
    test_evidence = _test_evidence(copies, len(images), search_altered)
    return Finding(worst(statuses), f"{test_evidence}; {train_evidence}", numbers)


@dataclass(frozen=True)
class _Allowed:
    """What a generator without access to test images arrives at by chance.

    With training images available, its images are near a test image as often as they are near the same number of
    training images without storing them, and no less often than new real images are; altered copies no more often than
    among real images. Without, what is in both splits or looks alike cannot be told from a leak and is allowed.

    Attributes:
        near, altered: fractions of its images near a test image, and altered copies of one.
        stored: number of stored copies.
    """

    near: float
    altered: float
    stored: int


def _allowed(found: TrainingCopies, rates: _RealRates, test_to_train: float) -> _Allowed:
    near = max(found.unstored / found.sampled * test_to_train, rates.near_fraction * rates.test_to_train)
    # One more than were found, so that finding none does not mean that none can be expected.
    expected = (found.altered + 1) / found.altered_sampled * test_to_train
    return _Allowed(near, min(expected, rates.altered_fraction * rates.test_to_train), stored=0)


def _allowed_without_train(rates: _RealRates) -> _Allowed:
    return _Allowed(2 * rates.near_fraction, 2 * rates.altered_fraction * rates.test_to_train, rates.in_both)


def _is_copying(found: TrainingCopies, rates: _RealRates) -> bool:
    return _significantly_more(found.near, (2 * rates.near_fraction + _TOLERATED) * found.sampled) or (
        _significantly_more(found.altered, (2 * rates.altered_fraction + _TOLERATED) * found.altered_sampled)
    )


def _is_leak(copies: TestCopies, allowed: _Allowed, images: int) -> bool:
    return (
        copies.stored > allowed.stored
        or _significantly_more(copies.near, allowed.near * images)
        or _significantly_more(copies.altered, allowed.altered * copies.sampled)
    )


def _test_evidence(copies: TestCopies, images: int, search_altered: bool) -> str:
    kinds = [f"{copies.exact:,} in every pixel", f"{copies.stored - copies.exact:,} up to rounding"]
    kinds += [f"{copies.altered:,} rotated, shifted, cropped or recoloured"] if search_altered else []
    evidence = f"{copies.near + copies.altered:,} of {images:,} images are copies of test images ({', '.join(kinds)})"
    return f"{evidence}, {copies.known:,} more are in both splits of the data set" if copies.known else evidence


def _significantly_more(found: int, expected: float) -> bool:
    return found > expected + _SIGNIFICANT * expected**0.5 + 1
