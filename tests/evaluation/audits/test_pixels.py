"""The pixels audit: wrong ranges, wrong normalisation, swapped channels, plain and resized pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from evaluation.audits.audit import Finding
from evaluation.audits.pixels import audit_pixels, normalisations
from evaluation.audits.probe import load_probe
from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet, NormalisedSet, denormalise, normalise
from evaluation.submitted.folder import FolderContents
from evaluation.submitted.reading import read_images
from tests.evaluation.audits.audit_cases import CIFAR, DIGITS, TINY, gaussian, noise, per_class, real_split

_CHANGES = [
    ((2, 1, 0), "red and blue seem to be swapped"),
    ((1, 0, 2), "red and green seem to be swapped"),
    ((0, 2, 1), "green and blue seem to be swapped"),
    ((1, 2, 0), "the channels seem to be stored as green, blue, red"),
    ((2, 0, 1), "the channels seem to be stored as blue, red, green"),
]


def _audit(images: ImageSet | NormalisedSet, challenge: Challenge = CIFAR) -> Finding:
    contents = FolderContents(images, ())
    return audit_pixels(contents, denormalise(images, challenge), challenge, load_probe(challenge).facts)


def _real(challenge: Challenge = CIFAR, ipc: int = 5) -> ImageSet:
    return per_class(real_split(challenge, "test" if challenge is TINY else "train"), ipc)


@pytest.mark.parametrize("challenge", [CIFAR, DIGITS, TINY], ids=lambda c: c.name)
@pytest.mark.parametrize("ipc", [1, 3, 20])
def test_real_images_pass_as_pixels_and_as_floats(challenge: Challenge, ipc: int) -> None:
    images = _real(challenge, ipc)
    for form in (images, NormalisedSet(normalise(images.images, challenge), images.labels)):
        audit = _audit(form, challenge)
        assert audit.status == "pass", audit.evidence


def test_poor_generators_pass() -> None:
    for images in (gaussian(per_class(real_split(CIFAR, "train"), 100), 5, 30), noise(CIFAR, 5)):
        assert _audit(images).status == "pass", _audit(images).evidence


@pytest.mark.parametrize("wrong", normalisations(CIFAR)[1:], ids=lambda wrong: wrong.name)
def test_another_normalisation_of_pixels_is_named_for_certain(wrong) -> None:  # type: ignore[no-untyped-def]
    images = _real()
    mean, std = (np.array(values).reshape(1, 3, 1, 1) for values in (wrong.mean, wrong.std))
    floats = ((images.images / 255 - mean) / std).astype(np.float32)
    audit = _audit(NormalisedSet(floats, images.labels))
    assert audit.status == "fail"
    assert audit.numbers["normalisation"] == wrong.name


@pytest.mark.parametrize("wrong", normalisations(CIFAR)[1:6], ids=lambda wrong: wrong.name)
def test_another_normalisation_of_free_floats_is_suspected(wrong) -> None:  # type: ignore[no-untyped-def]
    """Floats that never were 8-bit pixels, as a generator of floats gives them, clipped to black and white."""
    images = _real()
    shaken = images.images / np.float32(255) + np.random.default_rng(0).normal(0, 0.03, images.images.shape)
    mean, std = (np.array(values).reshape(1, 3, 1, 1) for values in (wrong.mean, wrong.std))
    floats = ((np.clip(shaken, 0, 1) - mean) / std).astype(np.float32)
    audit = _audit(NormalisedSet(floats, images.labels))
    assert audit.status != "pass"
    assert audit.numbers["normalisation"] == wrong.name


def test_free_floats_of_the_right_normalisation_pass_and_wild_ones_are_told() -> None:
    images = _real()
    floats = normalise(images.images, CIFAR) + np.random.default_rng(0).normal(0, 0.02, images.images.shape)
    low, high = (normalise(np.full((1, 3, 1, 1), value, np.uint8), CIFAR) for value in (0, 255))
    right = np.clip(floats, low, high).astype(np.float32)
    assert _audit(NormalisedSet(right, images.labels)).status == "pass"
    wild = _audit(NormalisedSet((right * 1.15).astype(np.float32), images.labels))
    assert wild.status == "warn"
    assert "outside the range of pixels" in wild.evidence


@pytest.mark.parametrize("largest", [1e6, 1e30, 3e38])
def test_huge_values_are_told_in_a_sentence_and_nothing_else(largest: float, recwarn: pytest.WarningsRecorder) -> None:
    floats = np.random.default_rng(0).normal(size=(100, 3, 32, 32)).astype(np.float32)
    floats[7, 1, 3, 3] = -largest
    audit = _audit(NormalisedSet(floats, np.arange(100)))
    assert (
        audit.status == "fail" and f"values reach {largest:.2g}, and those of normalised pixels 2.0" in audit.evidence
    )
    assert not recwarn.list


def test_values_that_are_no_numbers_fail() -> None:
    images = _real()
    floats = normalise(images.images, CIFAR)
    floats[7, 0, 3, 3] = np.nan
    floats[9, 0, 3, 3] = np.inf
    audit = _audit(NormalisedSet(floats, images.labels))
    assert audit.status == "fail"
    assert audit.numbers["not_finite"] == 2
    floats[:] = np.nan
    assert _audit(NormalisedSet(floats, images.labels)).status == "fail"


@pytest.mark.parametrize("challenge", [CIFAR, TINY], ids=lambda c: c.name)
@pytest.mark.parametrize("ipc", [2, 10])
@pytest.mark.parametrize(("stored", "told"), _CHANGES)
def test_changed_colours_fail_and_are_named(challenge: Challenge, ipc: int, stored: tuple[int, ...], told: str) -> None:
    images = _real(challenge, ipc)
    audit = _audit(ImageSet(images.images[:, stored], images.labels), challenge)
    assert audit.status == "fail"
    assert audit.evidence.startswith(f"{told}: the colours of the classes contradict the real ones"), audit.evidence


@pytest.mark.parametrize("challenge", [CIFAR, TINY], ids=lambda c: c.name)
@pytest.mark.parametrize("ipc", [2, 10])
def test_negatives_are_not_called_swapped(challenge: Challenge, ipc: int) -> None:
    images = _real(challenge, ipc)
    audit = _audit(ImageSet(255 - images.images, images.labels), challenge)
    assert audit.status == "fail"
    assert "the images seem to be negatives: " in audit.evidence
    assert "swapped" not in audit.evidence


@pytest.mark.parametrize("challenge", [CIFAR, TINY], ids=lambda c: c.name)
@pytest.mark.parametrize("swapped", [False, True])
def test_a_normalisation_or_a_cast_hides_no_swapped_channels(challenge: Challenge, swapped: bool) -> None:
    """Tensors freed of their own mean and deviation, channel by channel, and pictures with a warm or a cold cast."""
    images = _real(challenge, 1)
    stored = images.images[:, ::-1] if swapped else images.images
    axes = (0, 2, 3)
    own = (stored - stored.mean(axes, keepdims=True)) / stored.std(axes, keepdims=True)
    cast = np.array((40, 0, -40)).reshape(1, 3, 1, 1)
    forms: list[ImageSet | NormalisedSet] = [
        NormalisedSet(own.astype(np.float32), images.labels),
        *(ImageSet(np.clip(stored + turn * cast, 0, 255).astype(np.uint8), images.labels) for turn in (1, -1)),
    ]
    for form in forms:
        audit = _audit(form, challenge)
        assert ("red and blue seem to be swapped" in audit.evidence) == swapped, audit.evidence


@pytest.mark.parametrize("challenge", [CIFAR, DIGITS], ids=lambda c: c.name)
def test_colours_that_do_not_tell_are_not_called_changed(challenge: Challenge) -> None:
    images = _real(challenge)
    grey = images.images.mean(1, keepdims=True).astype(np.uint8).repeat(3, 1)
    elsewhere = np.random.default_rng(0).permutation(challenge.classes)[images.labels]
    for told_nothing in (ImageSet(grey, images.labels), ImageSet(images.images, elsewhere), noise(challenge, 5)):
        audit = _audit(told_nothing, challenge)
        assert "seem to be" not in audit.evidence, audit.evidence


@pytest.mark.parametrize("challenge", [CIFAR, DIGITS], ids=lambda c: c.name)
def test_floats_written_as_pixels_are_known(challenge: Challenge) -> None:
    images = _real(challenge)
    scaled = images.images / np.float32(255)
    normalised = normalise(images.images, challenge)
    for floats, status in ((normalised * 255, "fail"), (scaled, "fail"), ((scaled * 2 - 1) * 255, "warn")):
        written = np.clip(floats, 0, 255).astype(np.uint8)
        audit = _audit(ImageSet(written, images.labels), challenge)
        assert audit.status in (status, "fail"), audit.evidence


def test_washed_out_and_dark_pictures_are_told() -> None:
    images = _real()
    for changed in (images.images // 4 + 96, images.images // 3):
        assert _audit(ImageSet(changed, images.labels)).status == "warn"


def test_plain_pictures_are_counted() -> None:
    images = _real()
    pixels = images.images.copy()
    pixels[:3] = 99
    audit = _audit(ImageSet(pixels, images.labels))
    assert (audit.status, audit.numbers["plain"]) == ("warn", 3 / 500)
    assert audit.evidence == "3 images are of nearly one colour"
    pixels[:100] = 0
    assert _audit(ImageSet(pixels, images.labels)).status == "fail"


def test_another_size_is_told(tmp_path: Path) -> None:
    for label in range(10):
        (tmp_path / str(label)).mkdir()
        image = Image.fromarray(np.random.default_rng(label).integers(0, 256, (40, 40, 3), dtype=np.uint8))
        image.save(tmp_path / str(label) / "0.png")
    contents = read_images(tmp_path, DIGITS)
    audit = audit_pixels(contents, denormalise(contents.images, DIGITS), DIGITS, load_probe(DIGITS).facts)
    assert audit.numbers["resized"] == 10
    assert "10 of 10 images had another size and were resized" in audit.evidence


def test_a_file_with_anothers_normalisation_end_to_end(tmp_path: Path) -> None:
    """The second place's published code: CIFAR-100 pixels with CIFAR-10's numbers."""
    images = _real()
    mean, std = torch.tensor((0.4914, 0.4822, 0.4465)), torch.tensor((0.2470, 0.2435, 0.2616))
    floats = (torch.from_numpy(images.images) / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    torch.save(floats, tmp_path / "cifar100.pt")
    contents = read_images(tmp_path / "cifar100.pt", CIFAR)
    audit = audit_pixels(contents, denormalise(contents.images, CIFAR), CIFAR, load_probe(CIFAR).facts)
    assert audit.status == "fail"
    assert audit.numbers["normalisation"] == "CIFAR-10's"


def test_pictures_that_are_too_bright_are_told_whatever_their_contrast() -> None:
    images = _real()
    audit = _audit(ImageSet(images.images // 2 + 120, images.labels))
    assert audit.status == "warn" and "mean is 0.2" in audit.evidence, audit.evidence
    assert 0.4 < audit.numbers["std_ratio"] < 1.8  # type: ignore[operator]
