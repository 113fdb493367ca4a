"""The class-order audit: wrong orders are caught and named; poor generators in the right order are not blamed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from evaluation.audits import class_order
from evaluation.audits.audit import Finding
from evaluation.audits.class_order import audit_class_order
from evaluation.audits.probe import ProbeNetwork, load_probe, network_logits
from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet
from evaluation.submitted.class_order_file import named_orders, read_order, reorder, write_order
from tests.evaluation.audits.audit_cases import (
    CIFAR,
    DIGITS,
    TINY,
    as_jpeg,
    contents_of,
    each,
    gaussian,
    noise,
    per_class,
    real_split,
    stored_in_order,
)

_known_logits: dict[tuple[str, bytes], NDArray[np.float32]] = {}
_ALL = pytest.mark.parametrize("challenge", [CIFAR, DIGITS, TINY], ids=lambda c: c.name)


def _logits(network: ProbeNetwork, images: NDArray[np.uint8], challenge: Challenge) -> NDArray[np.float32]:
    """The probe's own, each image's worked out once: these tests show it the same ones in one order after another."""
    keys = [(challenge.name, hashlib.sha256(image.tobytes()).digest()) for image in images]
    new = [position for position, key in enumerate(keys) if key not in _known_logits]
    if new:
        found = network_logits(network, images[new], challenge)
        _known_logits.update((keys[position], logits) for position, logits in zip(new, found, strict=True))
    return np.stack([_known_logits[key] for key in keys])


@pytest.fixture(autouse=True)
def images_classified_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_order, "network_logits", _logits)


def _audit(images: ImageSet, challenge: Challenge) -> Finding:
    return audit_class_order(images, challenge, load_probe(challenge))


def _real(challenge: Challenge, ipc: int) -> ImageSet:
    return per_class(real_split(challenge, "test"), ipc)


@_ALL
@pytest.mark.parametrize("ipc", [1, 2, 3, 10, pytest.param(50, marks=pytest.mark.slow)])
def test_real_images_are_in_order(challenge: Challenge, ipc: int) -> None:
    audit = _audit(_real(challenge, ipc), challenge)
    assert audit.status == "pass" and audit.conclusive, audit.evidence
    assert audit.numbers["agreement"] > 10 * challenge.chance * (0.5 if challenge is DIGITS else 1)  # type: ignore[operator]


@_ALL
@pytest.mark.parametrize("ipc", [1, 2, 8])
def test_orders_with_a_name_are_caught_and_named(challenge: Challenge, ipc: int) -> None:
    images, orders = _real(challenge, ipc), named_orders(challenge)
    for name in list(orders)[:6]:
        audit = _audit(stored_in_order(images, orders[name]), challenge)
        assert audit.status == "fail", f"{name}: {audit.evidence}"
        assert audit.numbers["called"] == name
        assert audit.numbers["order"] == orders[name].tolist()
        assert name in audit.evidence


@_ALL
@pytest.mark.parametrize("ipc", [5, 10])
def test_any_other_permutation_is_caught(challenge: Challenge, ipc: int) -> None:
    order = np.random.default_rng(3).permutation(challenge.classes)
    audit = _audit(stored_in_order(_real(challenge, ipc), order), challenge)
    assert audit.status == "fail", audit.evidence
    assert audit.numbers["called"] is None
    assert (np.array(audit.numbers["order"]) == order).mean() > 0.6  # the probe of Tiny-ImageNet can do no better


@_ALL
def test_a_tenth_of_the_classes_in_a_wrong_place_is_caught(challenge: Challenge) -> None:
    order = np.arange(challenge.classes)
    some = np.random.default_rng(0).choice(challenge.classes, max(2, challenge.classes // 10), replace=False)
    order[some] = np.roll(order[some], 1)
    audit = _audit(stored_in_order(_real(challenge, 12), order), challenge)
    assert audit.status != "pass"


@_ALL
@pytest.mark.parametrize("ipc", [1, 2, 10])
def test_noise_is_not_blamed_and_tells_nothing(challenge: Challenge, ipc: int) -> None:
    audit = _audit(noise(challenge, ipc), challenge)
    assert (audit.status, audit.conclusive) == ("pass", False), audit.evidence


@pytest.mark.parametrize("components", [5, 30])
@pytest.mark.parametrize("ipc", [1, 2, 10])
def test_a_poor_generator_is_blamed_for_its_order_alone(components: int, ipc: int) -> None:
    made = gaussian(per_class(real_split(CIFAR, "train"), 200), ipc, components)
    audit = _audit(made, CIFAR)
    assert audit.status == "pass", audit.evidence
    if components == 30 and ipc == 10:
        for name in ("in superclass order", "shifted by one, as if labels counted from 1"):
            audit = _audit(stored_in_order(made, named_orders(CIFAR)[name]), CIFAR)
            assert (audit.status, audit.numbers["called"]) == ("fail", name), audit.evidence


@_ALL
@pytest.mark.parametrize("ipc", [1, 2, 5])
def test_blurred_pictures_are_not_blamed(challenge: Challenge, ipc: int) -> None:
    images = _real(challenge, ipc)
    for width in (1, 2, 4):
        spread = width * challenge.size / 32
        blurred = ndimage.gaussian_filter(images.images, (0, 0, spread, spread))
        audit = _audit(ImageSet(blurred, images.labels), challenge)
        assert audit.status == "pass", f"{width}: {audit.evidence}"


def _one_picture(image: NDArray[np.uint8], kind: str, draw: np.random.Generator) -> NDArray[np.uint8]:
    """A copy of one picture (3, H, W) as a collapsed generator, or one that augments, would make it."""
    if kind == "jpeg":
        return each(image[None], as_jpeg)[0]
    if kind == "shifted":
        step = image.shape[-1] // 16
        return np.roll(image, draw.integers(-step, step + 1, 2), (1, 2))[..., :: draw.choice([1, -1])]
    if kind == "turned":
        turned = ndimage.rotate(image, draw.uniform(-60, 60), (1, 2), reshape=False, order=1, mode="mirror")
        return turned[:, :: draw.choice([1, -1])]
    varied = {
        "exact": image,
        "noisy": image + draw.normal(0, 15, image.shape),
        "brightened": (image - 128.0) * draw.uniform(0.7, 1.3) + 128 + draw.uniform(-30, 30),
    }[kind]
    return np.clip(varied, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("challenge", [CIFAR, TINY], ids=lambda c: c.name)
@pytest.mark.parametrize("kind", ["exact", "noisy", "brightened", "jpeg", "shifted", "turned"])
def test_a_collapsed_generator_in_order_is_not_blamed(challenge: Challenge, kind: str) -> None:
    one, draw = _real(challenge, 1), np.random.default_rng(0)
    copies = np.stack([_one_picture(image, kind, draw) for image in one.images for _ in range(8)])
    collapsed = ImageSet(copies, one.labels.repeat(8))
    audit = _audit(collapsed, challenge)
    assert audit.status == "pass", audit.evidence
    if kind == "exact":
        name = "shifted by one, as if labels counted from 1"
        audit = _audit(stored_in_order(collapsed, named_orders(challenge)[name]), challenge)
        assert (audit.status, audit.numbers["called"]) == ("fail", name)


def test_classes_of_one_picture_hide_no_wrong_order_of_the_others() -> None:
    order = np.arange(100)
    order[10:20] = np.roll(order[10:20], 1)
    stored = stored_in_order(_real(CIFAR, 12), order)
    pixels = stored.images.copy()
    for label in (40, 41, 42):
        pixels[stored.labels == label] = pixels[stored.labels == label][0]
    assert _audit(ImageSet(pixels, stored.labels), CIFAR).status != "pass"


@_ALL
@pytest.mark.parametrize("noise_levels", [1, 20])
def test_a_colour_for_each_class_is_no_order(challenge: Challenge, noise_levels: int) -> None:
    draw, labels = np.random.default_rng(0), np.repeat(np.arange(challenge.classes), 10)
    colours = draw.uniform(0, 255, (challenge.classes, 3, 1, 1))[labels]
    shaken = colours + draw.normal(0, noise_levels, (len(labels), 3, challenge.size, challenge.size))
    audit = _audit(ImageSet(np.clip(shaken, 0, 255).astype(np.uint8), labels), challenge)
    assert audit.status == "pass", audit.evidence
    unknown = "too few to tell an order" if noise_levels == 1 else "do not tell a better one"  # 1 is plain
    assert audit.evidence.endswith(unknown), audit.evidence


@pytest.mark.parametrize("classes", [1, 2])
def test_so_few_classes_do_not_tell(classes: int) -> None:
    images = _real(CIFAR, 10)
    audit = _audit(images.take(images.labels < classes), CIFAR)
    assert (audit.status, audit.conclusive) == ("pass", False)
    assert "fewer than 3 classes" in audit.evidence
    assert "no better than chance" not in audit.evidence


def test_wrong_labels_here_and_there_are_no_wrong_order() -> None:
    images = _real(CIFAR, 10)
    labels, draw = images.labels.copy(), np.random.default_rng(0)
    wrong = draw.random(len(labels)) < 0.7
    labels[wrong] = draw.permutation(labels[wrong])
    assert _audit(ImageSet(images.images, labels), CIFAR).status == "pass"


def test_missing_classes_are_filled_in() -> None:
    images = _real(CIFAR, 10)
    stored = stored_in_order(images, (np.arange(100) - 1) % 100)
    some = stored.take(np.flatnonzero(stored.labels % 3 != 0))
    audit = _audit(some, CIFAR)
    assert audit.status == "fail"
    assert sorted(audit.numbers["order"]) == list(range(100))  # type: ignore[arg-type]
    one = images.take(images.labels == 5)
    assert _audit(one, CIFAR).status == "pass"


def test_the_suggested_order_repairs_the_set(tmp_path: Path) -> None:
    stored = stored_in_order(_real(CIFAR, 10), named_orders(CIFAR)["in superclass order"])
    audit = _audit(stored, CIFAR)
    write_order(tmp_path / "order.txt", np.array(audit.numbers["order"]), CIFAR)
    repaired = reorder(contents_of(stored), read_order(tmp_path / "order.txt", CIFAR)).images
    assert isinstance(repaired, ImageSet)
    again = _audit(repaired, CIFAR)
    assert again.status == "pass"
    assert again.numbers["agreement"] == audit.numbers["agreement_suggested"]
