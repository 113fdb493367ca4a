"""ImageNet's labels for the challenges' classes."""

from __future__ import annotations

import re

import pytest
import torch
from scipy import stats

from evaluation.base.challenge import get_challenge
from submission.classes.imagenet import (
    CLASSES,
    SKIP,
    LabelChoice,
    counterparts,
    imagenet_choices,
    imagenet_labels,
    imagenet_wnids,
)
from submission.contract.job import image_seed
from submission.contract.seeded import bits


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


def test_the_counterparts_of_cifar100_are_what_the_table_calls_them() -> None:
    tiny = get_challenge("tiny-imagenet")
    name_of = dict(zip(tiny.wnids, tiny.class_names, strict=True))
    checked = 0
    for row in counterparts("cifar100"):
        assert imagenet_wnids()[row.label] == row.wnid, row
        if row.wnid in name_of:
            assert re.sub(r"\W+", "_", name_of[row.wnid]) == re.sub(r"\W+", "_", row.name.lower()), row
            checked += 1
    assert checked > 40


def test_every_class_of_cifar100_has_a_counterpart_and_shares_none() -> None:
    table = counterparts("cifar100")
    names = [row.class_name for row in table]
    assert sorted(set(names)) == list(get_challenge("cifar100").class_names)
    assert len({row.label for row in table}) == len(table), "one picture, two labels"
    assert len({(row.class_name, row.same) for row in table}) == 100, "a class is there or is only near"


def test_what_only_looks_alike_by_name_is_no_counterpart() -> None:
    """ImageNet's mouse is a computer's, its crane a bird, its plate a meal; CIFAR-100's mouse is an animal."""
    table = {row.label: row for row in counterparts("cifar100")}
    assert 673 not in table
    assert not table[923].same
    near = {row.class_name for row in table.values() if not row.same}
    assert {"baby", "boy", "girl", "man", "woman"} <= near
    assert {"maple_tree", "oak_tree", "palm_tree", "pine_tree", "willow_tree"} <= near
    assert len(near) == 32


def test_choices_by_challenge() -> None:
    cifar = imagenet_choices(get_challenge("cifar100"))
    names = get_challenge("cifar100").class_names
    assert len(cifar) == 100
    assert cifar[names.index("tiger")] == (292,)
    assert cifar[names.index("wolf")] == (269, 270, 271)
    tiny = get_challenge("tiny-imagenet")
    assert imagenet_choices(tiny) == tuple((label,) for label in imagenet_labels(tiny))
    with pytest.raises(ValueError, match="the classes of 'digits' have no counterparts in ImageNet"):
        imagenet_choices(get_challenge("digits"))


CHOICES = ((7,), (1, 2, 3), (900, 901))


def test_the_seed_alone_chooses_and_each_as_often() -> None:
    choice = LabelChoice(CHOICES, "cpu")
    seeds = torch.tensor([image_seed(0, 1, i) for i in range(3000)])
    chosen = choice(torch.ones(3000, dtype=torch.int64), seeds)
    assert stats.chisquare(torch.bincount(chosen, minlength=4)[1:].numpy()).pvalue > 1e-3
    assert torch.equal(chosen[5:6], choice(torch.tensor([1]), seeds[5:6]))


def test_labels_of_a_batch() -> None:
    labels = torch.tensor([0, 2, 1, 0, 2])
    chosen = LabelChoice(CHOICES, "cpu")(labels, torch.arange(5))
    assert all(int(made) in CHOICES[label] for made, label in zip(chosen, labels, strict=True))


def test_it_takes_what_noise_leaves() -> None:
    seeds = torch.tensor([3])
    assert torch.equal(bits(seeds, 4)[:, SKIP:], bits(seeds, 3, skip=SKIP))
