"""The noise models behind selection and prototypes: what they predict, and which one a folder holds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evaluation.base.challenge import get_challenge
from evaluation.data.datasets import load_split
from submission.contract.seeded import normal
from submission.contract.weights import SHIPPED
from submission.diffusion.noise_model import NoiseModel, find_noise_model, kind_of, load_noise_model
from submission.diffusion.pixel_model import PixelModel
from submission.diffusion.text_model import TextModel
from tests.submission.noise_models import save_tiny_diffusion, shipped_digits

DIGITS = get_challenge("digits")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_diffusion(tmp_path_factory.mktemp("model"))


def load_tiny(folder: Path) -> NoiseModel:
    return load_noise_model(find_noise_model(DIGITS, str(folder)), DIGITS, "cpu", torch.float32)


def noised(model: NoiseModel, timestep: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Clean, noisy and the noise of 32 real digits, and their labels."""
    train = load_split(DIGITS, "train", None)
    clean, labels = model.encode(torch.from_numpy(train.images[:32])), torch.from_numpy(train.labels[:32])
    noise = normal(torch.arange(32), clean[0].numel()).view_as(clean)
    gamma = model.gammas_T[timestep]
    return clean, gamma.sqrt() * clean + (1 - gamma).sqrt() * noise, noise, labels


@torch.inference_mode()
@pytest.mark.parametrize("timestep", [100, 300, 500, 900])
def test_native_predicts_the_noise_of_real_digits(timestep: int) -> None:
    """Far better than guessing none, at little noise and at much: the scale between the two forms is right."""
    model = shipped_digits()
    _, noisy, noise, labels = noised(model, timestep)
    found = model.predict(noisy, torch.full_like(labels, timestep), labels)
    assert (found - noise).square().mean() < 0.15


@torch.inference_mode()
def test_native_predicts_better_with_the_class_than_with_a_wrong_one() -> None:
    model = shipped_digits()
    _, noisy, noise, labels = noised(model, 600)
    times = torch.full_like(labels, 600)

    def loss(told: torch.Tensor) -> float:
        return float((model.predict(noisy, times, told) - noise).square().mean())

    right, none, wrong = loss(labels), loss(torch.full_like(labels, model.null_label)), loss((labels + 1) % 10)
    assert right < none < wrong


@torch.inference_mode()
def test_native_takes_a_timestep_for_each_image() -> None:
    model = shipped_digits()
    _, noisy, _, labels = noised(model, 300)
    times = torch.arange(32) * 30
    together = model.predict(noisy, times, labels)
    alone = torch.cat([model.predict(noisy[i : i + 1], times[i : i + 1], labels[i : i + 1]) for i in range(32)])
    torch.testing.assert_close(together, alone, atol=1e-3, rtol=1e-3)


@torch.inference_mode()
def test_a_tiny_model_in_the_published_layout_loads_and_runs(tiny: Path) -> None:
    model = load_tiny(tiny)
    assert isinstance(model, TextModel) and model.size == 16 and model.null_label == 10
    images = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8)
    z = model.encode(images)
    assert z.shape == (3, 4, 8, 8) and z.dtype == torch.float32
    assert model.decode(z).shape == images.shape and model.decode(z).dtype == torch.uint8
    times = torch.tensor([5, 500, 900])
    found = [model.predict(z, times, torch.full((3,), label)) for label in (0, 1, model.null_label)]
    assert all(each.shape == z.shape and each.isfinite().all() for each in found)
    assert not torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_the_schedule_is_that_of_the_published_file(tiny: Path) -> None:
    """Squares of evenly spaced roots, as Stable Diffusion's; a linear schedule would be twice as noisy early on."""
    gammas = load_tiny(tiny).gammas_T
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64).square()
    torch.testing.assert_close(gammas.double(), (1 - betas).cumprod(0), atol=1e-5, rtol=1e-3)


def test_half_precision_copies_alone_will_do(tmp_path: Path) -> None:
    model = load_tiny(save_tiny_diffusion(tmp_path, variant="fp16"))
    assert isinstance(model, TextModel)
    assert next(model.network.parameters()).dtype == torch.float32


def test_another_prediction_is_refused(tmp_path: Path) -> None:
    folder = save_tiny_diffusion(tmp_path, prediction="v_prediction")
    with pytest.raises(ValueError, match="predicts v_prediction, not the noise"):
        load_tiny(folder)


def test_the_folder_says_what_it_is(tiny: Path, tmp_path: Path) -> None:
    assert kind_of(tiny) == "text"
    (tmp_path / "transformer").mkdir()
    assert kind_of(tmp_path) == "dit"
    assert kind_of(SHIPPED / "native-digits.safetensors") == "native"
    assert find_noise_model(DIGITS, None) == find_noise_model(DIGITS, str(SHIPPED))
    assert isinstance(load_noise_model(find_noise_model(DIGITS, None), DIGITS, "cpu", torch.float32), PixelModel)


def test_bad_weights_are_told_before_the_clock(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no diffusion model"):
        find_noise_model(DIGITS, str(tmp_path))
    with pytest.raises(ValueError, match=r"python -m submission\.training native --dataset tiny-imagenet"):
        find_noise_model(get_challenge("tiny-imagenet"), None)
    with pytest.raises(ValueError, match="trained for the 10 classes"):
        find_noise_model(get_challenge("cifar100"), str(SHIPPED / "native-digits.safetensors"))
    with pytest.raises(ValueError, match="there is no folder"):
        find_noise_model(DIGITS, str(tmp_path / "nowhere"))
    folder = save_tiny_diffusion(tmp_path / "model")
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="half a download"):
        find_noise_model(DIGITS, str(folder))
    weights.unlink()
    with pytest.raises(ValueError, match="holds no unet/diffusion_pytorch_model"):
        find_noise_model(DIGITS, str(folder))
