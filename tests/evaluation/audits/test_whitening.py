"""ZCA-whitened images are told, and no others are called that."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from evaluation.audits.run import run_audits
from evaluation.audits.whitening import WHITENED, are_whitened, correlation
from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet, NormalisedSet, normalise
from evaluation.submitted.folder import FolderContents
from tests.evaluation.audits.audit_cases import CIFAR, DIGITS, TINY, noise, per_class, real_split


def _whitened(images: ImageSet, challenge: Challenge, epsilon: float) -> NormalisedSet:
    """As ZCA is defined: the covariance's inverse square root, with `epsilon` added to its eigenvalues; grey images."""
    grey = normalise(images.images, challenge)[:, :1].reshape(len(images), -1)
    grey = grey - grey.mean(0)
    values, vectors = np.linalg.eigh(grey.T @ grey / len(grey))
    turned: NDArray[np.float32] = grey @ (vectors / np.sqrt(np.maximum(values, 0) + epsilon)) @ vectors.T
    side = challenge.size
    return NormalisedSet(turned.astype(np.float32).reshape(-1, 1, side, side).repeat(3, axis=1), images.labels)


@pytest.mark.parametrize("epsilon", [0.003, 0.01, 0.03])
def test_whitened_digits_are_told(epsilon: float) -> None:
    images = _whitened(per_class(real_split(DIGITS, "train"), 120), DIGITS, epsilon)
    chosen = NormalisedSet(np.ascontiguousarray(images.images[::12]), images.labels[::12])
    audits = {audit.name: audit for audit in run_audits(FolderContents(chosen, ()), DIGITS, None, None)}
    assert audits["pixels"].status == "fail"
    assert f"normalised by another rule: {WHITENED}" in audits["pixels"].evidence
    assert (audits["class_order"].status, audits["class_order"].evidence[:20]) == ("warn", "it cannot be told: t")


@pytest.mark.parametrize("noisy", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("challenge", [CIFAR, DIGITS, TINY], ids=lambda c: c.name)
def test_real_images_with_noise_are_not_called_whitened(challenge: Challenge, noisy: float) -> None:
    images = per_class(real_split(challenge, "test" if challenge is TINY else "train"), 5)
    floats = normalise(images.images, challenge)
    floats += np.float32(noisy) * np.random.default_rng(0).normal(size=floats.shape).astype(np.float32)
    assert not are_whitened(NormalisedSet(floats, images.labels))


def test_noise_and_flat_images_are_not_called_whitened() -> None:
    images = noise(CIFAR, 2)
    assert not are_whitened(NormalisedSet(normalise(images.images, CIFAR), images.labels))
    flat = NormalisedSet(np.ones((10, 3, 32, 32), np.float32), np.arange(10))
    assert correlation(flat) == (0.0, 0.0) and not are_whitened(flat)
    broken = NormalisedSet(np.full((10, 3, 32, 32), np.nan, np.float32), np.arange(10))
    assert not are_whitened(broken)
