"""What a network sees of sets: training images are not apart, images of one class shown as another's are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.training.unseen_networks import compare, seen
from evaluation.base.challenge import get_challenge
from evaluation.base.images import ImageSet, random_subset
from evaluation.data.datasets import load_split
from evaluation.judge.convnet import seeded_convnet
from submission.distillation.experts import Expert
from submission.distillation.views import View

DIGITS = get_challenge("digits")


@pytest.fixture(scope="module")
def expert() -> Expert:
    named = seeded_convnet(DIGITS.classes, DIGITS.size, seed=3).named_parameters()
    return Expert(0, 0, {name: weight.detach() for name, weight in named})


def test_statistics_are_those_of_a_loop(expert: Expert) -> None:
    train = load_split(DIGITS, "train", None)
    few = random_subset(train, 6, seed=0)
    every = [seen(ImageSet(few.images[i : i + 1], few.labels[i : i + 1]), DIGITS, expert, "cpu") for i in range(60)]
    rows = torch.stack([each.means_CF[label] for each, label in zip(every, few.labels, strict=True)])
    found, squares = seen(few, DIGITS, expert, "cpu"), 0.0
    for label in range(DIGITS.classes):
        members = rows[few.labels == label]
        torch.testing.assert_close(found.means_CF[label], members.mean(0), atol=1e-4, rtol=1e-4)
        squares += float((members - members.mean(0)).square().sum())
    assert found.variance == pytest.approx(squares / (60 - DIGITS.classes), rel=1e-3)


def test_real_images_are_not_apart_and_wrong_ones_are(expert: Expert) -> None:
    train = load_split(DIGITS, "train", None)
    wrong = ImageSet(train.images, np.roll(np.arange(DIGITS.classes), 1)[train.labels])
    same, shifted = compare({"same": train, "wrong": wrong}, train, DIGITS, expert, "cpu")
    assert same.apart == pytest.approx(0, abs=1e-6) and same.variance == pytest.approx(1)
    assert same.beside_sampling == pytest.approx([0, 0, 0, 0], abs=1e-6)
    assert min(shifted.beside_sampling) > 2
    assert shifted.apart > 1 and shifted.ipc == len(train) / DIGITS.classes


def test_a_view_is_of_real_images_and_the_others_alike(expert: Expert) -> None:
    train, shift = load_split(DIGITS, "train", None), View("crop", (0.0, 0.5, 0.0))
    (same,) = compare({"same": train}, train, DIGITS, expert, "cpu", shift)
    assert same.view == "crop" and same.apart == pytest.approx(0, abs=1e-6)
    shown = [seen(train, DIGITS, expert, "cpu", view).means_CF for view in (shift, View())]
    assert not torch.allclose(*shown, atol=0.01)


def test_random_images_err_as_sampling_does(expert: Expert) -> None:
    train = load_split(DIGITS, "train", None)
    fraction = 0.2  # of the images, so that much of the error is missing: they are some of the others
    ipc = round(fraction * len(train) / DIGITS.classes)
    sets = {str(seed): random_subset(train, ipc, seed=seed) for seed in range(8)}
    rows = compare(sets, train, DIGITS, expert, "cpu")
    bands = np.mean([row.beside_sampling for row in rows], 0)
    assert bands == pytest.approx([1 - fraction] * 4, rel=0.15)
