"""Diffusion-driven selection: Stage I, Stage II and the generator, on the shipped model of digits where it can be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evaluation.base.challenge import get_challenge
from evaluation.base.images import ImageSet, first_of_each
from evaluation.data.datasets import load_split
from evaluation.formats.shards import write_shard
from submission.contract.generator import LoadContext, get_generator
from submission.generators.selection import Selection
from submission.patches.select import choose
from submission.patches.stage_one import best_regions, difference_maps, draw_timesteps
from submission.patches.stage_two import block_of, cluster, order_class, patch_features
from tests.submission.noise_models import Planted, save_tiny_diffusion, shipped_digits

DIGITS = get_challenge("digits")
FEW = {"candidates": "6", "draws": "2", "clusters": "3", "precision": "fp32"}


@pytest.fixture(scope="module")
def digits() -> ImageSet:
    return first_of_each(load_split(DIGITS, "train", None), 12)


@pytest.fixture(scope="module")
def stored(digits: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("training") / "training.npz"
    write_shard(path, digits)
    return path


def maps_of(model: Planted, count: int = 3, draws: int = 3) -> torch.Tensor:
    images = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8)
    return difference_maps(model, images, torch.arange(count), torch.arange(count), draws)


@pytest.mark.parametrize(("top", "left", "side"), [(0, 0, 19), (13, 6, 19), (2, 5, 26)])
def test_stage_one_finds_the_region_that_the_class_explains(top: int, left: int, side: int) -> None:
    model = Planted((slice(top, top + side), slice(left, left + side)))
    boxes_N3, scores_N = best_regions(maps_of(model), (19, 26, 32))
    assert boxes_N3.tolist() == [[top, left, side]] * 3
    torch.testing.assert_close(scores_N, torch.ones(3), atol=1e-4, rtol=0)


def test_an_image_that_the_class_explains_all_over_is_kept_whole() -> None:
    boxes_N3, _ = best_regions(maps_of(Planted((slice(0, 32), slice(0, 32)))), (19, 26, 32))
    assert boxes_N3.tolist() == [[0, 0, 32]] * 3


def test_both_losses_are_of_the_same_noise_at_the_same_time() -> None:
    model = Planted((slice(0, 5), slice(0, 5)))
    maps_of(model, count=2, draws=3)
    seen = []
    for z, times, labels in model.calls:
        (with_class, without), (label, null) = z.chunk(2), labels.chunk(2)
        assert torch.equal(with_class, without) and torch.equal(*times.chunk(2))
        assert label.tolist() == [0, 1] and null.tolist() == [10, 10]
        seen.append(with_class)
    assert len(seen) == 3 and not torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0][0], seen[0][1])


@torch.inference_mode()
def test_no_class_against_no_class_is_no_difference(digits: ImageSet) -> None:
    """With other noise for the second loss there would be one."""
    model = shipped_digits()
    images, null = torch.from_numpy(digits.images[:8]), torch.full((8,), model.null_label)
    assert difference_maps(model, images, null, torch.arange(8), 2).abs().max() < 1e-5


@torch.inference_mode()
def test_stage_one_finds_the_half_that_shows_the_class(digits: ImageSet) -> None:
    """Chimeras of two digits, one above and one below; in every second one the upper half is of the image's class."""
    own, labels = torch.from_numpy(digits.images), torch.from_numpy(digits.labels)
    other = own.roll(60, 0)  # five classes further
    above = torch.arange(len(own)) % 2 == 0
    upper, lower = (torch.where(which[:, None, None, None], own, other) for which in (above, ~above))
    chimeras = torch.cat([upper[:, :, :16], lower[:, :, 16:]], dim=2)
    maps = difference_maps(shipped_digits(), chimeras, labels, torch.arange(len(own)), 4)
    top, bottom = maps[:, :16].mean((1, 2)), maps[:, 16:].mean((1, 2))
    assert torch.where(above, top > bottom, bottom > top).float().mean() > 0.85


def test_timesteps_lie_in_the_published_part_of_the_schedule() -> None:
    assert draw_timesteps(1000, 4) == [175, 325, 475, 625]
    assert draw_timesteps(1000, 1) == [400]
    assert all(100 <= t < 700 for t in draw_timesteps(1000, 100)) and len(set(draw_timesteps(1000, 100))) == 100


@given(st.lists(st.tuples(st.floats(-1, 1, width=32), st.integers(0, 4)), min_size=1, max_size=40))
def test_every_ipc_is_a_beginning_of_one_order(patches: list[tuple[float, int]]) -> None:
    scores = np.array([score for score, _ in patches], np.float32)
    clusters = np.array([label for _, label in patches])
    order = order_class(scores, clusters)
    assert sorted(order) == list(range(len(patches)))
    present = set(clusters.tolist())
    assert set(clusters[order[: len(present)]].tolist()) == present
    for label in present:
        own = scores[[i for i in order if clusters[i] == label]]
        assert (np.diff(own) <= 0).all()
    medians = [np.median(scores[clusters == clusters[i]]) for i in order[: len(present)]]
    assert (np.diff(medians) <= 0).all()
    for ipc in range(1, len(patches) + 1):  # no cluster is ahead of another by more than its turn
        taken = np.bincount(clusters[order[:ipc]], minlength=5)
        left = np.bincount(clusters[order[ipc:]], minlength=5)
        waiting = [taken[label] for label in present if left[label]]
        assert not waiting or max(taken) - min(waiting) <= 1


def test_fewer_images_than_clusters() -> None:
    points = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0]], np.float32)
    labels, centres = cluster(points, 10, seed=0)
    assert labels[1] == labels[2] != labels[0] and len(centres) == 2


@torch.inference_mode()
def test_features_tell_the_digits_apart(digits: ImageSet) -> None:
    """Two images of a digit are closer to each other than to images of others, without the class being told."""
    model = shipped_digits()
    images, labels = torch.from_numpy(digits.images), torch.from_numpy(digits.labels)
    null = torch.full_like(labels, model.null_label)
    features = patch_features(model, block_of(model, None), images, null, torch.arange(len(images)))
    torch.testing.assert_close(features.norm(dim=1), torch.ones(len(features)))
    alike = features @ features.t()
    same = labels[:, None] == labels
    off_diagonal = ~torch.eye(len(labels), dtype=torch.bool)
    assert alike[same & off_diagonal].mean() > alike[~same].mean() + 0.01


def test_the_hook_is_taken_off_again() -> None:
    model = shipped_digits()
    block = block_of(model, "decoder.0")
    patch_features(model, block, torch.zeros(2, 3, 32, 32, dtype=torch.uint8), torch.zeros(2).long(), torch.arange(2))
    assert not block._forward_hooks


def load(stored: Path, seed: int = 0, **settings: str) -> Selection:
    return Selection.load(LoadContext(DIGITS, "cpu", None, stored, seed, FEW | settings))


def images_of(selection: Selection, ipc: int) -> torch.Tensor:
    return selection.select(torch.arange(10).repeat(ipc), torch.arange(ipc).repeat_interleave(10))


def test_the_generator_gives_each_image_once_and_the_same_for_every_ipc(stored: Path) -> None:
    selection = load(stored)
    assert get_generator("selection") is Selection
    assert selection.available() == 6
    many, few = images_of(selection, 6), images_of(load(stored), 2)
    assert many.shape == (60, 3, 32, 32) and many.dtype == torch.uint8
    assert torch.equal(many[:20], few)
    assert len(torch.unique(many.flatten(1), dim=0)) == 60


def test_seed_and_settings_make_the_choice(stored: Path) -> None:
    first = images_of(load(stored), 6)
    assert not torch.equal(first, images_of(load(stored, seed=1), 6))
    assert torch.equal(first, images_of(load(stored, batch="7"), 6))


def test_whole_images_are_unchanged(stored: Path, digits: ImageSet) -> None:
    chosen = images_of(load(stored, patch="1"), 2).flatten(1)
    real = torch.from_numpy(digits.images).flatten(1)
    assert (chosen[:, None] == real).all(2).any(1).all()


def test_the_labels_are_those_of_the_images(stored: Path, digits: ImageSet) -> None:
    settings = Selection.resolve_settings(FEW | {"patch": "1"})
    chosen = choose(shipped_digits(), digits, settings, 10, seed=0)
    for label, order in enumerate(chosen.order):
        assert (chosen.images.labels[order] == label).all()


def test_progress_and_stages_are_told(
    stored: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluation.base.progress_bar.LINE_EVERY_S", 0.0)
    load(stored)
    told = capsys.readouterr().err
    assert "Stage I: 60 of 60 images scored" in told and "Stage II: 60 of 60 patches described" in told


def test_a_text_conditional_model_selects(stored: Path, tmp_path: Path) -> None:
    folder = Selection.find_weights(DIGITS, str(save_tiny_diffusion(tmp_path)))
    context = LoadContext(DIGITS, "cpu", folder, stored, settings={"candidates": "2", "draws": "1"})
    selection = Selection.load(context)
    assert images_of(selection, 2).shape == (20, 3, 32, 32)


def test_chosen_patches_are_shown(stored: Path) -> None:
    exhibit = load(stored).exhibit()
    assert [row.title for row in exhibit.rows] == ["0", "1", "2", "3"]
    assert exhibit.rows[0].picture_HWC.shape == (2 * 128, 6 * 128, 3)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"candidates": "0"}, "candidates must be a whole number from 1 to 100,000, not '0'"),
        ({"draws": "many"}, "draws must be a whole number from 1 to 1,000, not 'many'"),
        ({"patch": "0.5,2"}, "patch must be a number from 0.25 to 1, or several separated by commas, not '0.5,2'"),
        ({"patch": "0.5,"}, "patch must be a number from 0.25 to 1, or several separated by commas, not '0.5,'"),
        ({"patch": "nan"}, "patch must be a number from 0.25 to 1, or several separated by commas, not 'nan'"),
        ({"clusters": "-1"}, "clusters must be a whole number from 1 to 1,000, not '-1'"),
        ({"precision": "int4"}, "precision must be one of"),
        ({"colour": "red"}, "generator 'selection' has no setting 'colour'"),
    ],
)
def test_settings_that_do_not_fit_are_told(settings: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Selection.resolve_settings(settings)


def test_a_block_that_there_is_not_is_told(stored: Path) -> None:
    with pytest.raises(ValueError, match=r"the model has no block 'attic'; choose one of .*encoder, middle, decoder"):
        load(stored, block="attic")
