"""The leakage audit: finds copies of real images however they were changed, and blames no innocent."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from evaluation.audits.leakage import _REAL_RATES, audit_leakage
from evaluation.audits.matching.alignment import AlignedSet
from evaluation.audits.matching.nearest import ReferenceSet
from evaluation.audits.real_copies import ROUNDED
from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet
from tests.evaluation.audits.audit_cases import (
    ALTERATIONS,
    CIFAR,
    DIGITS,
    TINY,
    altered,
    as_jpeg,
    each,
    gaussian,
    noise,
    per_class,
    real_split,
)


def _planted(clean: ImageSet, foreign: NDArray[np.uint8]) -> ImageSet:
    images = clean.images.copy()
    places = np.random.default_rng(0).choice(len(images), len(foreign), replace=False)
    images[places] = foreign
    return ImageSet(images, clean.labels)


def _changed(images: NDArray[np.uint8], how: str) -> NDArray[np.uint8]:
    if how == "mirrored":
        return np.ascontiguousarray(images[..., ::-1])
    if how == "jpeg":
        return each(images, as_jpeg)
    if how == "brighter":
        return each(images, lambda image: ImageEnhance.Brightness(image).enhance(1.1))
    if how == "noisy":
        shaken = images + np.random.default_rng(0).normal(0, 5, images.shape)
        return np.clip(shaken, 0, 255).astype(np.uint8)
    if how == "resampled":
        size = images.shape[-1]
        return each(images, lambda image: image.resize((64, 64), Image.Resampling.BICUBIC).resize((size, size)))
    return images


@pytest.mark.parametrize("how", ["exact", "mirrored", "jpeg", "brighter", "noisy", "resampled"])
def test_one_percent_of_test_images_fails(how: str) -> None:
    train, test = per_class(real_split(CIFAR, "train"), 50), per_class(real_split(CIFAR, "test"), 20)
    clean = per_class(real_split(CIFAR, "train"), 10, skip=200)
    audit = audit_leakage(_planted(clean, _changed(test.images[:10], how)), CIFAR, train, test)
    assert audit.status == "fail", audit.evidence
    blamed = audit.numbers["test_copies"] - audit.numbers["test_turned"]  # type: ignore[operator]
    assert 8 <= blamed <= 12
    assert audit.numbers["test_exact"] == (10 if how in ("exact", "mirrored") else 0)
    planted = np.random.default_rng(0).choice(len(clean), 10, replace=False).tolist()
    found = zip(audit.numbers["copied"], audit.numbers["copied_test"], strict=True)  # type: ignore[arg-type]
    assert sum(planted.index(image) == real for image, real in found if image in planted) >= 6


@cache
def _aligned(challenge: Challenge) -> AlignedSet:
    return AlignedSet(real_split(challenge, "test").images)


@pytest.mark.parametrize("challenge", [CIFAR, pytest.param(TINY, marks=pytest.mark.slow)], ids=lambda c: c.name)
@pytest.mark.parametrize("how", ALTERATIONS)
def test_altered_test_images_are_known_again(challenge: Challenge, how: str) -> None:
    chosen = np.random.default_rng(1).choice(10_000, 100, replace=False)
    found = _aligned(challenge).nearest(altered(real_split(challenge, "test").images[chosen], how))
    known = (found.index == chosen) & (found.correlation >= _REAL_RATES[challenge.name].altered)
    assert known.mean() >= 0.75, f"{known.mean():.0%}"  # 80% and more of many


@pytest.mark.parametrize("how", ["shifted zero", "cropped centre", "upside down"])
def test_one_percent_of_altered_test_images_fails(how: str) -> None:
    train, test = per_class(real_split(CIFAR, "train"), 50), per_class(real_split(CIFAR, "test"), 20)
    clean = gaussian(train, 10, 30)
    audit = audit_leakage(_planted(clean, altered(test.images[::200], how)), CIFAR, train, test)
    assert audit.status == "fail", audit.evidence
    assert 7 <= audit.numbers["test_turned"] <= 11  # type: ignore[operator]
    assert audit.numbers["test_exact"] == 0


def test_altered_training_images_are_a_league_of_their_own() -> None:
    train = per_class(real_split(CIFAR, "train"), 20)
    made = _planted(noise(CIFAR, 5), altered(train.images[:150], "turned by 90 degrees"))
    audit = audit_leakage(made, CIFAR, train, None)
    assert audit.numbers["league"] == "copying", audit.evidence
    assert audit.numbers["turned_share"] == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize("how", ["one level up", "a little darker"])
def test_one_test_image_that_is_the_same_but_for_rounding_fails(how: str) -> None:
    train, test = per_class(real_split(CIFAR, "train"), 5), per_class(real_split(CIFAR, "test"), 5)
    image = test.images[:1]
    if how == "one level up":
        image = np.clip(image.astype(int) + 1, 0, 255).astype(np.uint8)
    else:
        image = np.clip(image * 0.99 + 0.5, 0, 255).astype(np.uint8)
    audit = audit_leakage(_planted(noise(CIFAR, 5), image), CIFAR, train, test)
    assert audit.status == "fail", audit.evidence
    assert (audit.numbers["test_stored"], audit.numbers["test_exact"]) == (1, 0)


def test_known_duplicates_are_listed() -> None:
    train, test = per_class(real_split(CIFAR, "train"), 10), per_class(real_split(CIFAR, "test"), 10)
    both = ImageSet(np.concatenate([train.images, test.images[[7, 3]]]), np.concatenate([train.labels, [0, 0]]))
    audit = audit_leakage(_planted(noise(CIFAR, 1), test.images[[7, 3]]), CIFAR, both, test)
    places = np.random.default_rng(0).choice(100, 2, replace=False)
    assert dict(zip(audit.numbers["known"], audit.numbers["known_test"], strict=True)) == {  # type: ignore[arg-type]
        places[0]: 7,
        places[1]: 3,
    }
    assert "2 more are in both splits" in audit.evidence
    assert audit.status != "fail"


@pytest.mark.parametrize("challenge", [CIFAR, DIGITS], ids=lambda c: c.name)
@pytest.mark.parametrize("ipc", [1, 10, 50])
def test_unseen_real_images_are_quiet(challenge: Challenge, ipc: int) -> None:
    train, test = real_split(challenge, "train"), real_split(challenge, "test")
    submitted, rest = per_class(train, ipc), per_class(train, 70, skip=ipc)
    audit = audit_leakage(submitted, challenge, rest, test)
    assert audit.status == "pass", audit.evidence
    assert audit.numbers["league"] == "generating"


def test_what_is_not_searched_for_on_digits_is_not_reported() -> None:
    train, test = real_split(DIGITS, "train"), real_split(DIGITS, "test")
    audit = audit_leakage(per_class(train, 2), DIGITS, train, test)
    assert not {"turned_share", "real_turned_share", "test_turned"} & audit.numbers.keys()
    assert "rotated" not in audit.evidence and "altered" not in audit.evidence


def test_poor_generators_are_quiet() -> None:
    train, test = real_split(CIFAR, "train"), real_split(CIFAR, "test")
    some = per_class(train, 50)
    plain = ImageSet(np.full((100, 3, 32, 32), 255, np.uint8), np.arange(100))
    for images in (noise(CIFAR, 5), gaussian(some, 10, 30), plain):
        assert audit_leakage(images, CIFAR, some, test).status == "pass"


def test_a_leak_among_stored_training_images_is_found() -> None:
    train, test = per_class(real_split(CIFAR, "train"), 50), per_class(real_split(CIFAR, "test"), 20)
    audit = audit_leakage(_planted(per_class(train, 10), _changed(test.images[:10], "jpeg")), CIFAR, train, test)
    assert audit.status == "fail", audit.evidence
    assert audit.numbers["league"] == "copying"


def test_stored_training_images_are_a_league_of_their_own() -> None:
    train, test = per_class(real_split(CIFAR, "train"), 50), per_class(real_split(CIFAR, "test"), 5)
    audit = audit_leakage(per_class(train, 5), CIFAR, train, test)
    assert (audit.status, audit.numbers["league"]) == ("warn", "copying"), audit.evidence
    assert audit.numbers["train_share"] == 1
    some = per_class(train, 20)
    half = ImageSet(
        np.concatenate([noise(CIFAR, 5).images, some.images[::20]]), np.tile(np.repeat(np.arange(100), 5), 2)[:600]
    )
    audit = audit_leakage(half, CIFAR, some, None)
    assert audit.numbers["league"] == "copying"
    assert "test images were not available" in audit.evidence


@pytest.mark.parametrize(
    "name",
    [
        "digits",
        pytest.param("cifar100", marks=pytest.mark.slow),
        pytest.param("tiny-imagenet", marks=pytest.mark.slow),
    ],
)
def test_what_is_in_both_splits_is_listed_not_blamed(name: str) -> None:
    challenge = {"cifar100": CIFAR, "digits": DIGITS, "tiny-imagenet": TINY}[name]
    train, test = real_split(challenge, "train"), real_split(challenge, "test")
    reference = ReferenceSet(train.images)
    found = reference.nearest(test.images)
    measured = _REAL_RATES[challenge.name]
    assert int(found.exact.sum()) == measured.in_both
    assert float((found.correlation >= measured.near).mean()) == pytest.approx(measured.near_fraction, abs=6e-4)
    assert int((found.correlation >= ROUNDED).sum()) == measured.in_both
    if measured.altered <= 1:
        changed = AlignedSet(train.images).nearest(test.images).correlation >= measured.altered
        share = float((changed & (found.correlation < measured.near)).mean())
        assert share == pytest.approx(measured.altered_fraction, abs=6e-4)
    if measured.in_both:
        both = ImageSet(train.images[found.index[found.exact]], train.labels[found.index[found.exact]])
        audit = audit_leakage(both, challenge, train, test)
        assert audit.numbers["known_duplicates"] == measured.in_both
        assert audit.numbers["test_copies"] == 0
        assert audit.status != "fail"


def test_without_training_images_a_leak_is_still_found() -> None:
    train, test = real_split(CIFAR, "train"), real_split(CIFAR, "test")
    clean = per_class(train, 10)
    clear = audit_leakage(clean, CIFAR, None, test)
    assert clear.status == "warn", "whether it copies training images has not been looked at"
    assert "league" not in clear.numbers
    assert audit_leakage(_planted(clean, test.images[:20]), CIFAR, None, test).status == "fail"


def test_the_search_finds_what_brute_force_finds() -> None:
    train, test = real_split(DIGITS, "train"), real_split(DIGITS, "test")
    found = ReferenceSet(train.images).nearest(test.images[:50])

    def standard(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        cells = images.reshape(len(images), 3, 16, 2, 16, 2).mean((3, 5)).reshape(len(images), -1)
        cells -= cells.mean(1, keepdims=True)
        return cells / np.linalg.norm(cells, axis=1, keepdims=True)

    both = [standard(images) @ standard(train.images).T for images in (test.images[:50], test.images[:50, ..., ::-1])]
    best = np.maximum(*both).max(1)
    near = best > 0.97
    assert near.sum() > 5
    np.testing.assert_allclose(found.correlation[near], best[near], atol=0.01)
