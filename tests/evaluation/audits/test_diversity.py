"""The diversity audit: a collapsed class shows, real draws of any size do not."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.audits.diversity import audit_diversity
from evaluation.audits.probe import load_probe
from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet
from tests.evaluation.audits.audit_cases import CIFAR, DIGITS, TINY, gaussian, per_class, real_split


@pytest.mark.parametrize("challenge", [CIFAR, DIGITS, TINY], ids=lambda c: c.name)
@pytest.mark.parametrize("ipc", [1, 2, 3, 10, 50])
def test_real_draws_are_diverse(challenge: Challenge, ipc: int) -> None:
    split = "test" if challenge is TINY else "train"
    audit = audit_diversity(per_class(real_split(challenge, split), ipc), challenge, load_probe(challenge).facts)
    assert audit.status == "pass", audit.evidence


def test_a_collapsed_class_is_named_even_under_noise() -> None:
    images = per_class(real_split(CIFAR, "train"), 10)
    pixels = images.images.astype(np.int16)
    of_class = images.labels == 23
    pixels[of_class] = pixels[of_class][:1] + np.random.default_rng(0).normal(0, 30, pixels[of_class].shape)
    audit = audit_diversity(ImageSet(np.clip(pixels, 0, 255).astype(np.uint8), images.labels), CIFAR, _facts())
    assert audit.status == "warn"
    assert audit.numbers["collapsed"] == ["023-cloud"]
    assert "023-cloud" in audit.evidence


def test_all_classes_half_collapsed() -> None:
    images = per_class(real_split(CIFAR, "train"), 10)
    means = np.stack([images.images[images.labels == label].mean(0) for label in range(100)])
    narrow = means[images.labels] + 0.5 * (images.images - means[images.labels])
    audit = audit_diversity(ImageSet(np.rint(narrow).astype(np.uint8), images.labels), CIFAR, _facts())
    assert audit.status == "warn"
    assert audit.numbers["ratio"] == pytest.approx(0.5, abs=0.05)


def test_a_blurred_generator_is_diverse_enough() -> None:
    made = gaussian(per_class(real_split(CIFAR, "train"), 100), 10, 30)
    assert audit_diversity(made, CIFAR, _facts()).status == "pass"


def _facts():  # type: ignore[no-untyped-def]
    return load_probe(CIFAR).facts
