"""ImageNet's labels for the challenges' classes."""

from __future__ import annotations

import pytest

from evaluation.challenge import get_challenge
from submission.imagenet import CLASSES, imagenet_labels, imagenet_wnids


def test_the_ids_are_whole_and_sorted() -> None:
    wnids = imagenet_wnids()
    assert len(set(wnids)) == CLASSES
    assert list(wnids) == sorted(wnids)


def test_every_class_of_tiny_imagenet_is_one_of_imagenets() -> None:
    challenge = get_challenge("tiny-imagenet")
    labels = imagenet_labels(challenge)
    assert len(set(labels)) == 200
    known = {"goldfish": 1, "tailed_frog": 32, "bullfrog": 30, "espresso": 967}
    assert {name: labels[challenge.class_names.index(name)] for name in known} == known


def test_other_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="none of ImageNet's"):
        imagenet_labels(get_challenge("cifar100"))
