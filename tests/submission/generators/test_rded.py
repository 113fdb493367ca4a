"""The RDED-style choice by a classifier."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from evaluation.base.challenge import get_challenge
from evaluation.base.images import ImageSet, balanced_split, first_of_each
from evaluation.data.datasets import load_split
from evaluation.formats.shards import write_shard
from submission.contract.generator import LoadContext, get_generator
from submission.generators.rded import Rded, lowest_loss_crops, stitched
from submission.patches.classifier import Classifier, train_on

DIGITS = get_challenge("digits")
SETTINGS = {"epochs": "1", "candidates": "8", "crops": "3"}


@pytest.fixture(scope="module")
def parts() -> tuple[ImageSet, ImageSet]:
    return balanced_split(load_split(DIGITS, "train", None), 0.2, 200)


@pytest.fixture(scope="module")
def stored(parts: tuple[ImageSet, ImageSet], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("training") / "training.npz"
    write_shard(path, first_of_each(parts[0], 16))
    return path


@pytest.fixture(scope="module")
def classifier(parts: tuple[ImageSet, ImageSet]) -> Classifier:
    return train_on(parts[0], DIGITS, "cpu", epochs=6, seed=0)


def images_of(rded: Rded, ipc: int) -> torch.Tensor:
    return rded.select(torch.arange(10).repeat(ipc), torch.arange(ipc).repeat_interleave(10))


@torch.inference_mode()
def test_the_classifier_knows_digits_that_it_has_not_seen(
    classifier: Classifier, parts: tuple[ImageSet, ImageSet]
) -> None:
    _, held_out = parts
    found = classifier(torch.from_numpy(held_out.images)).argmax(1).numpy()
    assert (found == held_out.labels).mean() > 0.9


@torch.inference_mode()
def test_of_each_image_the_crop_with_the_lowest_loss(classifier: Classifier, parts: tuple[ImageSet, ImageSet]) -> None:
    """More crops can only find a surer one, and the loss told is the loss of the crop that is named."""
    images = parts[1].take(np.arange(40))
    one, many = (Rded.resolve_settings({"crops": crops, "patch": "1" if crops == "1" else "0.6,1"}) for crops in "19")
    boxes, losses = lowest_loss_crops(classifier, images, one, "cpu", seed=0)
    assert (boxes == [0, 0, 32]).all()
    whole = F.cross_entropy(
        classifier(torch.from_numpy(images.images)), torch.from_numpy(images.labels), reduction="none"
    )
    np.testing.assert_allclose(losses, whole.numpy(), rtol=1e-3, atol=1e-4)
    _, surer = lowest_loss_crops(classifier, images, many, "cpu", seed=0)
    assert surer.mean() < losses.mean()


def test_the_generator_gives_each_image_once_and_the_same_for_every_ipc(stored: Path) -> None:
    assert get_generator("rded") is Rded
    rded = Rded.load(LoadContext(DIGITS, "cpu", None, stored, settings=SETTINGS))
    assert rded.available() == 8
    many = images_of(rded, 8)
    assert many.shape == (80, 3, 32, 32) and many.dtype == torch.uint8
    again = Rded.load(LoadContext(DIGITS, "cpu", None, stored, settings=SETTINGS))
    assert torch.equal(images_of(again, 3), many[:30])
    other = Rded.load(LoadContext(DIGITS, "cpu", None, stored, seed=1, settings=SETTINGS))
    assert not torch.equal(images_of(other, 3), many[:30])
    assert len(rded.exhibit().rows) == 4


def test_four_crops_in_one_image(stored: Path) -> None:
    rded = Rded.load(LoadContext(DIGITS, "cpu", None, stored, settings=SETTINGS | {"factor": "2"}))
    assert rded.available() == 2
    assert images_of(rded, 2).shape == (20, 3, 32, 32)


def test_stitching_goes_row_by_row() -> None:
    images = torch.arange(8, dtype=torch.uint8).mul(30).view(8, 1, 1, 1).expand(8, 3, 32, 32)
    first, second = stitched(images, 2)
    for image, values in ((first, (0, 30, 60, 90)), (second, (120, 150, 180, 210))):
        corners = [int(image[0, y, x]) for y in (3, 20) for x in (3, 20)]
        assert corners == list(values)


def test_nothing_of_the_audits_is_asked() -> None:
    """The probe that audits a submission must not have chosen its images."""
    import submission.generators.rded
    import submission.patches.classifier

    for module in (submission.patches.classifier, submission.generators.rded):
        assert "probe" not in {name.lower() for name in vars(module)}
        assert not any("probe" in str(getattr(value, "__module__", "")) for value in vars(module).values())


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"factor": "3"}, "factor must be a whole number from 1 to 2, not '3'"),
        ({"epochs": "0"}, "epochs must be a whole number from 1 to 1,000, not '0'"),
        ({"clusters": "3"}, "generator 'rded' has no setting 'clusters'"),
    ],
)
def test_settings_that_do_not_fit_are_told(settings: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Rded.resolve_settings(settings)


def test_weights_are_refused() -> None:
    with pytest.raises(ValueError, match="takes no weights"):
        Rded.find_weights(DIGITS, "somewhere")
