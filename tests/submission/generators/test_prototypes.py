"""k-means prototypes and image-to-image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from evaluation.base.challenge import get_challenge
from evaluation.base.images import ImageSet, first_of_each
from evaluation.data.datasets import load_split
from evaluation.formats.shards import write_shard
from submission.contract.generator import LoadContext, get_generator
from submission.contract.job import image_seed
from submission.diffusion.latent_samplers import image_to_image, timesteps_from
from submission.generators.prototypes import Prototypes, find_prototypes
from submission.training.common.held_out import split_held_out
from submission.training.native.model_selection import class_distance
from tests.submission.noise_models import Planted, save_tiny_diffusion

DIGITS = get_challenge("digits")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("training") / "training.npz"
    write_shard(path, first_of_each(load_split(DIGITS, "train", None), 30))
    return path


def load(stored: Path, weights: Path | None = None, **settings: str) -> Prototypes:
    return Prototypes.load(LoadContext(DIGITS, "cpu", weights, stored, settings={"precision": "fp32"} | settings))


def orders(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.arange(count) % 10
    return labels, torch.tensor([image_seed(0, int(label), i) for i, label in enumerate(labels)])


def test_timesteps_fall_evenly_from_the_strength() -> None:
    assert timesteps_from(1.0, 4, 1001) == [1000, 750, 500, 250]
    assert timesteps_from(0.5, 2, 1001) == [500, 250]
    assert timesteps_from(0.7, 1, 1001) == [700]


@torch.inference_mode()
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_a_model_that_knows_the_noise_gives_the_image_back(steps: int) -> None:
    """Whatever the strength: noised and denoised by the same schedule. (The class is known, so there is no error.)"""
    model = Planted((slice(0, 32), slice(0, 32)))
    z = model.encode(torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8))
    for strength in (0.1, 0.7, 1.0):
        made = image_to_image(model, z, torch.randn_like(z), torch.arange(4), steps=steps, strength=strength)
        torch.testing.assert_close(made, z, atol=1e-3, rtol=0)
    assert len(model.calls) == 3 * steps


@torch.inference_mode()
def test_guidance_goes_beyond_the_class() -> None:
    """Without the class the planted model is wrong by 1 everywhere; with guidance 0 that is what is left."""
    model = Planted((slice(0, 32), slice(0, 32)))
    z = model.encode(torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8))
    noise, labels = torch.randn_like(z), torch.arange(2)
    gamma = model.gammas_T[timesteps_from(0.5, 1, 100)[0]]
    wrong = ((1 - gamma) / gamma).sqrt()
    for guidance, expected in ((1.0, z), (0.0, z - wrong), (2.0, z + wrong)):
        made = image_to_image(model, z, noise, labels, steps=1, strength=0.5, guidance=guidance)
        torch.testing.assert_close(made, expected, atol=1e-3, rtol=0)


def test_prototypes_are_the_centres_of_their_class() -> None:
    """Two kinds of image in each class, black and white tinted by label: two prototypes, one of each."""
    labels = np.repeat(np.arange(3), 8)
    images = np.zeros((24, 3, 32, 32), np.uint8)
    images[1::2] = 200
    images += labels[:, None, None, None].astype(np.uint8)
    settings = Prototypes.resolve_settings({"clusters": "2"})
    model = Planted((slice(0, 1), slice(0, 1)))
    found = model.decode(find_prototypes(model, ImageSet(images, labels), settings, 0).flatten(0, 1))
    assert sorted(found[:, 0, 5, 5].tolist()) == [0, 1, 2, 200, 201, 202]
    more = find_prototypes(model, ImageSet(images, labels), Prototypes.resolve_settings({"clusters": "5"}), 0)
    assert more.shape == (3, 5, 3, 32, 32) and torch.equal(more[:, 0], more[:, 2])


def test_images_have_the_contracts_form_and_do_not_depend_on_the_batch(stored: Path) -> None:
    assert get_generator("prototypes") is Prototypes
    prototypes = load(stored)
    labels, seeds = orders(24)
    together = prototypes.generate(labels, seeds, 3)
    assert together.shape == (24, 3, 32, 32) and together.dtype == torch.uint8 and together.is_contiguous()
    parts = [prototypes.generate(a, b, 3) for a, b in zip(labels.split(7), seeds.split(7), strict=True)]
    assert (together.int() - torch.cat(parts).int()).abs().max() <= 1
    assert torch.equal(load(stored).generate(labels, seeds, 3), together)
    assert not torch.equal(prototypes.generate(labels, seeds + 1, 3), together)


def test_strength_decides_how_much_of_the_prototype_is_left(stored: Path) -> None:
    labels, seeds = torch.full((32,), 3), torch.arange(32)
    settings = {"clusters": "1", "candidates": "30"}
    spreads = [
        float(load(stored, strength=strength, **settings).generate(labels, seeds, 6).float().std(0).mean())
        for strength in ("0.1", "0.5", "0.9")
    ]
    assert spreads[0] < spreads[1] < spreads[2]


def test_shipped_digits_make_digits_of_their_prototypes(stored: Path) -> None:
    """Closer to held-out training images of their class than digits of the other classes are, by far."""
    labels = torch.arange(10).repeat(12)
    made = load(stored).generate(labels, torch.arange(120), 8).numpy()
    _, held_out = split_held_out(load_split(DIGITS, "train", None))
    right = class_distance(ImageSet(made, labels.numpy()), held_out)
    wrong = class_distance(ImageSet(made, (labels.numpy() + 1) % 10), held_out)
    assert right < 0.25 * wrong


def test_a_text_conditional_model_remakes_them(stored: Path, tmp_path: Path) -> None:
    folder = Prototypes.find_weights(DIGITS, str(save_tiny_diffusion(tmp_path)))
    made = load(stored, folder, candidates="3", clusters="2").generate(*orders(4), 2)
    assert made.shape == (4, 3, 16, 16) and made.dtype == torch.uint8


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"strength": "0"}, "strength must be a number from 0.05 to 1, not '0'"),
        ({"guidance": "much"}, "guidance must be a number from 0 to 20"),
        ({"clusters": "0"}, "clusters must be a whole number from 1 to 1,000, not '0'"),
        ({"draws": "3"}, "generator 'prototypes' has no setting 'draws'"),
    ],
)
def test_settings_that_do_not_fit_are_told(settings: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Prototypes.resolve_settings(settings)
