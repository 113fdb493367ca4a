"""The `gaussian` generator: the fit finds what was put in, and samples come from what was fitted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from benchmarks.images import near_copies
from benchmarks.images.near_copies import measure_nearness
from evaluation.base.challenge import get_challenge
from evaluation.base.images import ImageSet, first_of_each
from evaluation.data.datasets import load_split
from submission.contract.generator import LoadContext, get_generator
from submission.contract.job import image_seed
from submission.contract.weights import SHIPPED, find_weights_file
from submission.distillation.clusters import k_means, without_small_clusters
from submission.generators.gaussian import Gaussian, Mixture
from submission.training.__main__ import main
from submission.training.common.held_out import split_held_out
from submission.training.mixtures.gaussian import (
    GaussianSettings,
    fit,
    principal_components,
    without_empty_clusters,
)
from submission.training.native.model_selection import class_distance

DIGITS = get_challenge("digits")
LIMITS = {"digits": 4e6, "cifar100": 24e6, "tiny-imagenet": 12e6}  # bytes of everything shipped for a challenge


def mixture(classes: int = 3, clusters: int = 2, size: int = 4) -> Mixture:
    """Well separated clusters, of unequal shares, within the range of 8 bits."""
    draw = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(3 * size * size, 5, generator=draw)).Q.t().contiguous()
    factor = torch.linalg.cholesky(torch.diag(torch.tensor([0.04, 0.03, 0.02, 0.01, 0.01])) ** 2 + 1e-4)
    centres = torch.randn(classes, clusters, 5, generator=draw) * 0.25  # far from where 8 bits end
    shares = torch.linspace(0.7, 0.3, clusters)
    shares = (shares / shares.sum()).expand(classes, clusters).contiguous()
    scales = torch.linspace(0.8, 1.2, classes)[:, None].expand(classes, 5).contiguous()
    return Mixture(torch.full((3 * size * size,), 0.5), basis, centres, shares, factor, scales)


def orders(classes: int, per_class: int) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.arange(classes).repeat_interleave(per_class)
    return labels, torch.tensor([image_seed(0, int(label), i) for i, label in enumerate(labels)])


def test_registry_has_it() -> None:
    assert get_generator("gaussian") is Gaussian


def test_samples_have_the_mixtures_means_shares_and_covariance() -> None:
    true = mixture()
    labels, seeds = orders(3, 4000)
    images = Gaussian(true, 4).generate(labels, seeds, 1)
    assert images.shape == (12000, 3, 4, 4)
    assert images.dtype == torch.uint8
    x_NP = (images.flatten(1).float() / 255 - true.mean_D) @ true.basis_PD.t()
    for label in range(3):
        mine = x_NP[labels == label]
        cluster = torch.cdist(mine, true.centres_CKP[label]).argmin(1)
        for k in range(2):
            members = mine[cluster == k]
            assert len(members) / len(mine) == pytest.approx(float(true.shares_CK[label, k]), abs=0.03)
            assert torch.allclose(members.mean(0), true.centres_CKP[label, k], atol=0.005)
            factor = true.factor_PP * true.scales_CP[label]
            assert torch.allclose(members.t().cov(), factor @ factor.t(), atol=3e-4)


def test_an_image_depends_on_its_label_and_seed_alone() -> None:
    generator = Gaussian(mixture(), 4)
    labels, seeds = orders(3, 20)
    together = generator.generate(labels, seeds, 1).int()
    alone = torch.cat([generator.generate(labels[i : i + 1], seeds[i : i + 1], 1) for i in range(60)]).int()
    assert (together - alone).abs().max() <= 1  # a product may round otherwise in another batch
    assert torch.equal(generator.generate(labels, seeds, 50).int(), together)
    assert all((a != b).any() for a, b in zip(together, generator.generate(labels, seeds + 1, 1), strict=True))


def test_a_run_goes_evenly_round_the_clusters() -> None:
    true = mixture(clusters=8)
    even = replace(true, shares_CK=torch.full((3, 8), 1 / 8))
    uneven = replace(true, shares_CK=torch.tensor([[0.0, 0.5, 0.25, 0.0, 0.125, 0.125, 0.0, 0.0]]).expand(3, 8))
    labels, indices = torch.arange(3).repeat(64), torch.arange(64).repeat_interleave(3)

    def clusters_of_class_1(given: Mixture, first: int) -> torch.Tensor:
        middles_CKD = 255 * (given.mean_D + given.centres_CKP @ given.basis_PD)
        drawn = Gaussian(given, 4, std_scale=0.0).generate_numbered(labels, indices, indices, 1)
        mine_ND = drawn[(labels == 1) & (indices < first)].flatten(1).float()
        return torch.cdist(mine_ND, middles_CKD[1]).argmin(1).bincount(minlength=8)

    assert clusters_of_class_1(even, 8).tolist() == [1] * 8
    assert clusters_of_class_1(even, 5).max() == 1
    assert clusters_of_class_1(even, 64).tolist() == [8] * 8
    assert clusters_of_class_1(uneven, 8).tolist() == [0, 4, 2, 0, 1, 1, 0, 0]


def test_shares_that_sum_to_less_than_one_choose_no_empty_cluster() -> None:
    short = replace(mixture(clusters=3), shares_CK=torch.tensor([[0.5, 0.49, 0.0]]).expand(3, 3))
    middles_KD = 255 * (short.mean_D + short.centres_CKP[0] @ short.basis_PD)
    labels = torch.zeros(4000, dtype=torch.int64)
    drawn = Gaussian(short, 4, std_scale=0.0).generate(labels, torch.arange(4000), 1).flatten(1).float()
    assert torch.cdist(drawn, middles_KD).argmin(1).max() == 1


def test_less_spread_keeps_images_near_the_middle_of_their_clusters() -> None:
    true, (labels, seeds) = mixture(), orders(3, 200)
    middles_CKD = 255 * (true.mean_D + true.centres_CKP @ true.basis_PD)

    def distance(spread: float) -> float:
        x_ND = Gaussian(true, 4, spread).generate(labels, seeds, 1).flatten(1).float()
        return float((x_ND[:, None] - middles_CKD[labels]).square().mean(2).amin(1).sqrt().mean())

    assert distance(0.0) < 0.5
    assert distance(0.5) == pytest.approx(distance(1.0) / 2, rel=0.1)


def test_a_fit_to_samples_recovers_the_mixture() -> None:
    true = mixture()
    labels, seeds = orders(3, 4000)
    images = ImageSet(Gaussian(true, 4).generate(labels, seeds, 1).numpy(), labels.numpy())
    found = fit(images, GaussianSettings(components=5, clusters=2, covariance="scaled"))
    true_pixels, found_pixels = (m.mean_D + m.centres_CKP @ m.basis_PD for m in (true, found))
    for label in range(3):
        distance, nearest = torch.cdist(true_pixels[label], found_pixels[label]).min(1)
        assert distance.max() < 0.02
        assert sorted(nearest.tolist()) == [0, 1]
        assert torch.allclose(found.shares_CK[label, nearest], true.shares_CK[label], atol=0.03)
        spread = [m.basis_PD.t() @ (m.factor_PP * m.scales_CP[label]) for m in (true, found)]
        assert torch.allclose(spread[0] @ spread[0].t(), spread[1] @ spread[1].t(), atol=3e-4)
    shared = fit(images, GaussianSettings(components=5, clusters=2))
    assert (shared.scales_CP == 1).all()


@pytest.mark.parametrize("count", [30, 48, 50])  # fewer than pixels, as many, more
def test_principal_components_are_those_of_the_singular_value_decomposition(count: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (count, 3, 4, 4), dtype=np.uint8)
    images = ImageSet(pixels, np.zeros(count, np.int64))
    mean_D, basis_PD = principal_components(images, 10, "cpu")
    x = torch.from_numpy(images.images).flatten(1).float() / 255
    assert torch.allclose(mean_D, x.mean(0), atol=1e-6)
    expected = torch.linalg.svd(x - x.mean(0)).Vh[:10]
    assert torch.allclose((basis_PD @ expected.t()).abs(), torch.eye(10), atol=1e-3)


@pytest.fixture(scope="module")
def digits_mixture() -> Mixture:
    return fit(split_held_out(load_split(DIGITS, "train", None))[0], GaussianSettings())


def test_components_that_hold_next_to_nothing_are_left_out(digits_mixture: Mixture) -> None:
    assert 40 < len(digits_mixture.basis_PD) <= 100  # digits are 8 x 8 pixels, enlarged


def test_k_means_finds_separated_clusters() -> None:
    draw = torch.Generator().manual_seed(0)
    truth = torch.arange(6).repeat_interleave(30)
    points = torch.randn(6, 8, generator=draw)[truth] * 10 + torch.randn(180, 8, generator=draw) * 0.1
    centres, found = k_means(points, 6, draw)
    assert centres.shape == (6, 8)
    assert len(set(zip(truth.tolist(), found.tolist(), strict=True))) == 6


def test_mirror_images_are_fitted_as_well() -> None:
    train = first_of_each(load_split(DIGITS, "train", None), 40)
    one_sided = fit(train, GaussianSettings(components=20, clusters=1))
    both = fit(train, GaussianSettings(components=20, clusters=1, mirrored=True))
    for found, symmetric in ((one_sided, False), (both, True)):
        mean = (found.mean_D + found.centres_CKP[:, 0] @ found.basis_PD).view(10, 3, 32, 32)
        assert torch.allclose(mean, mean.flip(3), atol=1e-4) is symmetric


def test_small_clusters_go_to_their_neighbours() -> None:
    x = torch.tensor([[0.0], [0.2], [0.4], [5.0], [5.2], [9.0], [9.1]])
    cluster = torch.tensor([0, 0, 0, 1, 1, 2, 2])
    centres = torch.tensor([[0.2], [5.1], [9.05], [77.0]])  # the last has no image
    distinct = torch.tensor([0, 1, 2, 3, 4, 5, 5])  # the last two are mirror images of each other
    found_centres, found = without_small_clusters(x, centres, cluster, distinct, 2)
    assert found.tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert found_centres[:2, 0].tolist() == pytest.approx([0.2, 7.075])
    assert without_small_clusters(x, centres, cluster, distinct, 1)[1].tolist() == cluster.tolist()
    assert len(without_small_clusters(x, centres, cluster, distinct, 100)[1].unique()) == 1


def test_no_cluster_of_a_fit_is_a_single_image() -> None:
    train = first_of_each(load_split(DIGITS, "train", None), 40)
    shares = {
        least: fit(train, GaussianSettings(20, clusters=16, mirrored=True, least=least)).shares_CK for least in (1, 5)
    }
    of_one = 2.5 / 80  # a picture and its mirror image among those of a class
    assert (shares[1][shares[1] > 0] < of_one).any()
    assert shares[5][shares[5] > 0].min() > of_one
    assert torch.allclose(shares[5].sum(1), torch.ones(10))


def test_empty_clusters_take_no_room_and_change_no_image() -> None:
    whole = mixture(classes=2, clusters=4)
    whole.shares_CK[0] = torch.tensor([0.0, 0.5, 0.0, 0.5])
    whole.shares_CK[1] = torch.tensor([0.2, 0.0, 0.3, 0.5])
    small = without_empty_clusters(whole)
    assert small.centres_CKP.shape == (2, 3, 5)
    assert torch.allclose(small.shares_CK, torch.tensor([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]]))
    labels, seeds = orders(2, 20)
    drawn = [Gaussian(m, 4).generate(labels, seeds, 1) for m in (whole, small)]
    assert torch.equal(*drawn)


def test_identical_images_do_not_break_the_fit() -> None:
    images = ImageSet(np.full((8, 3, 4, 4), 90, np.uint8), np.array([0, 0, 0, 0, 1, 1, 1, 1]))
    made = Gaussian(fit(images, GaussianSettings(components=4, clusters=2)), 4).generate(*orders(2, 3), 1)
    assert (made.int() - 90).abs().max() <= 1


def test_misuse_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gaussian", "--dataset", "digits", "--out", str(tmp_path), "--clusters", "500"]) == 2
    assert "a class has 120 training images, fewer than 500 clusters" in capsys.readouterr().err
    assert main(["gaussian", "--dataset", "digits", "--out", str(tmp_path), "--components", "0"]) == 2
    assert "components must be at least 1, not 0" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["gaussian", "--dataset", "digits", "--out", str(tmp_path), "--covariance", "full"])
    assert "invalid choice: 'full' (choose from" in capsys.readouterr().err
    with pytest.raises(ValueError, match="spread must be a number from 0 to 2, not '3'"):
        Gaussian.resolve_settings({"spread": "3"})
    assert main(["gaussian", "--dataset", "digits", "--out", str(tmp_path), "--spread", "-1"]) == 2
    assert "--spread must be at least 0, not -1.0" in capsys.readouterr().err
    with pytest.raises(ValueError, match="generator 'gaussian' has no setting 'guidance'; it has: spread"):
        Gaussian.resolve_settings({"guidance": "2"})


def test_the_command_writes_weights_that_load(tmp_path: Path) -> None:
    assert main(["gaussian", "--dataset", "digits", "--out", str(tmp_path), "--components", "20"]) == 0
    gaussian = Gaussian.load(LoadContext(DIGITS, "cpu", find_weights_file("gaussian", DIGITS, str(tmp_path))))
    assert gaussian.generate(*orders(10, 2), 1).shape == (20, 3, 32, 32)
    assert gaussian.factor_PD.shape == (20, 3072)


@pytest.mark.parametrize("name", LIMITS)
def test_shipped_weights_load_and_leave_room_for_the_network(name: str) -> None:
    challenge = get_challenge(name)
    assert sum(file.stat().st_size for file in SHIPPED.glob(f"*-{name}.safetensors")) < LIMITS[name]
    gaussian = Gaussian.load(LoadContext(challenge, "cpu", Gaussian.find_weights(challenge, None)))
    made = gaussian.generate(*orders(challenge.classes, 1), 1)
    assert made.shape == (challenge.classes, 3, 32, 32)
    assert made.float().std() > 40


def test_digits_are_close_to_digits_of_their_class_and_no_copies(digits_mixture: Mixture) -> None:
    train, held_out = split_held_out(load_split(DIGITS, "train", None))
    gaussian = Gaussian(digits_mixture, 32)
    labels, seeds = orders(10, 20)
    made = ImageSet(gaussian.generate(labels, seeds, 1).numpy(), labels.numpy())
    shuffled = ImageSet(made.images, (made.labels + 1) % 10)
    assert class_distance(made, held_out) < 0.2 * class_distance(shuffled, held_out)
    assert measure_nearness(made, held_out, train).near_copies < 0.05


def test_copies_are_counted() -> None:
    train, held_out = split_held_out(load_split(DIGITS, "train", None))
    fresh, known = (ImageSet(train.images[part::2], train.labels[part::2]) for part in (0, 1))
    assert measure_nearness(known, held_out, train).near_copies == 1
    assert measure_nearness(known, held_out, known).nearest == 0
    assert measure_nearness(held_out, held_out, train).near_copies == pytest.approx(0.01, abs=0.01)
    assert measure_nearness(fresh, held_out, known).near_copies < 0.1


def test_nearest_distances_are_found_across_the_parts_that_are_compared_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train, held_out = split_held_out(load_split(DIGITS, "train", None))
    x_ND, references_MD = (torch.from_numpy(each.images).flatten(1).double() for each in (held_out, train))
    expected_N = (x_ND[:, None] - references_MD[:200]).square().mean(2).sqrt().amin(1)
    monkeypatch.setattr(near_copies, "_IMAGES", 7)
    monkeypatch.setattr(near_copies, "_REFERENCES", 33)
    found_N = near_copies.nearest_distances(held_out, ImageSet(train.images[:200], train.labels[:200]))
    assert torch.allclose(found_N.double(), expected_N, atol=1e-3)


def test_neighbouring_images_share_no_noise() -> None:
    """Correlation between the images of neighbouring indices, as a counter-based generator could have it."""
    gaussian = Gaussian(mixture(clusters=2), 4)
    labels = torch.zeros(20_000, dtype=torch.int64)
    seeds = torch.tensor([image_seed(0, 0, i) for i in range(20_000)])
    images = gaussian.generate(labels, seeds, 1).flatten(1).float()
    first, second = images[:-1, 0].numpy(), images[1:, 0].numpy()
    assert stats.pearsonr(first, second).pvalue > 1e-4
