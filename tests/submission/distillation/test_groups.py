"""Groups of training images, and the means that prototypes begin at."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evaluation.base.images import ImageSet
from submission.distillation.groups import _components, apportioned, start_means


def each_its_own_pixel(classes: int, per_class: int) -> ImageSet:
    """Image i is black but for value i, so that a mean shows which images it is of."""
    count = classes * per_class
    images = np.zeros((count, 3 * 32 * 32), np.uint8)
    images[np.arange(count), np.arange(count)] = 255
    return ImageSet(images.reshape(count, 3, 32, 32), np.repeat(np.arange(classes), per_class))


@pytest.mark.parametrize(("prototypes", "groups"), [(4, 1), (12, 3), (30, 2)])
def test_a_prototype_begins_at_the_mean_of_eight_images_of_its_class_or_more(prototypes: int, groups: int) -> None:
    train = each_its_own_pixel(2, 40)
    group_N = torch.arange(80) % groups
    start_CK3HW, group_CK = start_means(train, group_N, prototypes, 8, 0, "cpu")
    assert start_CK3HW.shape == (2, prototypes, 3, 32, 32) and group_CK.shape == (2, prototypes)
    for label in range(2):
        for start_D, group in zip(start_CK3HW[label].flatten(1), group_CK[label], strict=True):
            members = start_D.nonzero().flatten()
            assert len(members) >= 8
            assert torch.allclose(start_D[members], torch.full((len(members),), 1 / len(members)))
            assert (torch.from_numpy(train.labels)[members] == label).all()
            assert (group_N[members] == group).any()
        assert (group_CK[label].bincount(minlength=groups) >= 1).all()


def test_prototypes_begin_at_the_size_of_the_images() -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 3, 64, 64), dtype=np.uint8)
    train = ImageSet(images, np.repeat(np.arange(2), 10))
    start_CK3HW, _ = start_means(train, torch.zeros(20, dtype=torch.int64), 1, 8, 0, "cpu")
    assert torch.allclose(start_CK3HW[1, 0], torch.from_numpy(images[10:]).float().mean(0) / 255, atol=1e-5)


def test_no_two_prototypes_begin_alike() -> None:
    train = each_its_own_pixel(2, 20)
    train.images[::2] = train.images[::2] // 2  # two kinds, in which each image is as near to all others
    start_CK3HW, _ = start_means(train, torch.arange(40) % 2, 16, 8, 0, "cpu")
    for start_K3HW in start_CK3HW:
        assert len(start_K3HW.flatten(1).unique(dim=0)) == 16
        assert (start_K3HW.flatten(1) > 0).sum(1).min() >= 8
    few = each_its_own_pixel(1, 8)
    start_CK3HW, _ = start_means(few, torch.zeros(8, dtype=torch.int64), 3, 8, 0, "cpu")
    assert len(start_CK3HW[0].flatten(1).unique(dim=0)) == 1, "there is only one mean of all eight"


def test_starts_are_the_same_again_and_others_by_another_seed() -> None:
    train, group_N = each_its_own_pixel(2, 40), torch.zeros(80, dtype=torch.int64)
    first, again, other = (start_means(train, group_N, 4, 8, seed, "cpu")[0] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_too_few_images_are_refused_in_a_sentence() -> None:
    train = each_its_own_pixel(2, 6)
    with pytest.raises(ValueError, match="class 0 has 6 training images; a prototype begins at 8"):
        start_means(train, torch.zeros(12, dtype=torch.int64), 2, 8, 0, "cpu")
    with pytest.raises(ValueError, match="2 prototypes are fewer than the 3 groups"):
        apportioned(2, torch.tensor([5, 5, 5]))


@given(st.lists(st.integers(1, 500), min_size=1, max_size=20), st.integers(0, 300))
def test_sharing_out_gives_all_and_more_to_the_larger(sizes: list[int], spare: int) -> None:
    total = len(sizes) + spare
    counts = apportioned(total, torch.tensor(sizes))
    assert sum(counts) == total
    assert min(counts) >= 1
    for i, size in enumerate(sizes):
        for j, other in enumerate(sizes):
            assert not (size > other and counts[i] < counts[j])


def test_groups_are_large_enough_and_of_images_that_resemble_each_other(train: ImageSet, group_N: torch.Tensor) -> None:
    pixels = torch.from_numpy(train.images).flatten(1).float()
    within, across = [], []
    for label in range(10):
        members = torch.from_numpy(train.labels) == label
        groups = group_N[members]
        assert groups.bincount().min() >= 5
        assert groups.unique().tolist() == list(range(int(groups.max()) + 1))
        if groups.max() > 0:
            distance = torch.cdist(pixels[members], pixels[members])
            same = groups[:, None] == groups[None]
            within.append(distance[same].sum() / (same.sum() - len(groups)))
            across.append(distance[~same].mean())
    assert torch.stack(within).mean() < 0.95 * torch.stack(across).mean()


def test_components_keep_the_distances_of_what_is_seen_and_have_variance_one() -> None:
    draws = torch.Generator().manual_seed(0)
    few_NP, axes_PF = torch.randn(300, 10, generator=draws), torch.randn(10, 200, generator=draws)
    seen_NF = few_NP @ axes_PF + 0.01 * torch.randn(300, 200, generator=draws) + 5
    found_NP = _components(seen_NF)
    assert float(found_NP.square().sum(1).mean()) == pytest.approx(1, rel=1e-3)
    ratio_NN = torch.cdist(found_NP, found_NP) / torch.cdist(seen_NF, seen_NF).clamp_min(1e-6)
    off_diagonal = ratio_NN[~torch.eye(300, dtype=torch.bool)]
    assert off_diagonal.std() < 0.01 * off_diagonal.mean()
    assert torch.equal(found_NP, _components(seen_NF)), "the same again"
