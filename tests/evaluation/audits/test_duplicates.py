"""The duplicates audit: counts augmented copies once, and leaves real images alone."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from evaluation.audits.duplicates import audit_duplicates, originals_within_class
from evaluation.audits.matching.rotation import best_correlations, correlation_bounds, ring_spectra
from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet
from tests.evaluation.audits.audit_cases import (
    CIFAR,
    DIGITS,
    TINY,
    altered,
    each,
    gaussian,
    noise,
    per_class,
    real_split,
)


def _augmented(images: ImageSet, copies: int) -> ImageSet:
    """Each image and `copies` changed ones, as the third place's post data augmentation made them."""
    draw = np.random.default_rng(0)

    def change(image: Image.Image) -> Image.Image:
        if draw.random() < 0.8:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if draw.random() < 0.8:
            image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        if draw.random() < 0.5:
            image = ImageEnhance.Brightness(image).enhance(draw.uniform(0.8, 1.2))
            image = ImageEnhance.Contrast(image).enhance(draw.uniform(0.8, 1.2))
        if draw.random() < 0.8:
            image = image.rotate(draw.uniform(-60, 60), Image.Resampling.BILINEAR)
        return image

    parts = [images.images] + [each(images.images, change) for _ in range(copies)]
    return ImageSet(np.concatenate(parts), np.tile(images.labels, copies + 1))


@pytest.mark.parametrize("challenge", [CIFAR, DIGITS], ids=lambda c: c.name)
@pytest.mark.parametrize("ipc", [1, 20, 50])
def test_real_images_are_distinct(challenge: Challenge, ipc: int) -> None:
    audit = audit_duplicates(per_class(real_split(challenge, "train"), ipc), challenge)
    assert audit.status == "pass"
    assert audit.numbers["distinct_ipc"] >= 0.99 * ipc  # type: ignore[operator]


def test_tiny_imagenet_is_distinct() -> None:
    audit = audit_duplicates(per_class(real_split(TINY, "test"), 10), TINY)
    assert audit.status == "pass"
    assert audit.numbers["copies"] <= 2  # type: ignore[operator]


def test_poor_generators_are_not_blamed() -> None:
    blurred = gaussian(per_class(real_split(CIFAR, "train"), 100), 20, 30)
    for images in (noise(CIFAR, 20), blurred):
        assert audit_duplicates(images, CIFAR).status == "pass"


def test_augmented_copies_count_once() -> None:
    images = _augmented(per_class(real_split(CIFAR, "train"), 4), 4)
    audit = audit_duplicates(images, CIFAR)
    assert audit.status == "warn"
    assert audit.numbers["distinct_ipc"] == pytest.approx(4, rel=0.1)
    pairs = zip(audit.numbers["repeats"], audit.numbers["repeated"], strict=True)  # type: ignore[arg-type]
    assert all(copy % 400 == original % 400 for copy, original in pairs)


@pytest.mark.parametrize("how", ["shifted reflect", "shifted zero", "cropped centre", "cropped corner"])
def test_shifted_and_cropped_copies_of_a_class_count_once(how: str) -> None:
    images = per_class(real_split(CIFAR, "train"), 2)
    twice = ImageSet(np.concatenate([images.images, altered(images.images, how)]), np.tile(images.labels, 2))
    audit = audit_duplicates(twice, CIFAR)
    assert audit.status == "warn"
    assert audit.numbers["distinct_ipc"] == pytest.approx(2, rel=0.2)
    assert audit.numbers["across"] == 0


@pytest.mark.parametrize("how", ["the same", "mirrored", "one level up"])
def test_the_same_pictures_in_every_class_count_once(how: str) -> None:
    ten = real_split(CIFAR, "train").images[:10]
    pixels = np.concatenate([ten] * 100)
    if how == "mirrored":
        pixels[10::2] = pixels[10::2, ..., ::-1]
    elif how == "one level up":
        pixels[10:] = np.clip(pixels[10:].astype(int) + 1, 0, 255)
    audit = audit_duplicates(ImageSet(pixels, np.repeat(np.arange(100), 10)), CIFAR)
    assert audit.status == "warn"
    assert (audit.numbers["distinct"], audit.numbers["across"]) == (10, 990)
    assert "990 of them one of another class" in audit.evidence


def test_simple_copies_are_all_known() -> None:
    image = real_split(DIGITS, "train").images[:8]
    others = [image[..., ::-1], image[:, :, ::-1], np.rot90(image, 1, (2, 3)), np.rot90(image, 2, (2, 3))]
    brighter = np.clip(image.astype(int) + 20, 0, 255).astype(np.uint8)
    for other in (*others, brighter):
        correlation = best_correlations(ring_spectra(image), ring_spectra(np.ascontiguousarray(other)))
        assert correlation.min() > 0.97
    same = np.concatenate([image[:1], *(other[:1] for other in others)])
    assert originals_within_class(same, 0.97).tolist() == [0] * 5


def test_bounds_bound() -> None:
    images = per_class(real_split(DIGITS, "train"), 5).images
    spectra = ring_spectra(images)
    bounds = correlation_bounds(spectra, spectra)
    rows, columns = np.triu_indices(len(images))
    found = best_correlations(spectra[rows], spectra[columns])
    assert (found <= bounds[rows, columns] + 1e-4).all()
    np.testing.assert_allclose(found[rows == columns], 1, atol=1e-4)


def test_plain_pictures_are_copies_of_each_other() -> None:
    plain = np.full((3, 3, 32, 32), 7, np.uint8)
    plain[1] = 200
    assert originals_within_class(plain, 0.97).tolist() == [0] * 3
