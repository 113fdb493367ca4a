"""One of the labels that stand for an image's, chosen by its seed."""

from __future__ import annotations

import torch
from scipy import stats

from submission.classes.label_mapping import SKIP, LabelChoice
from submission.contract.job import image_seed
from submission.contract.seeded import bits

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
