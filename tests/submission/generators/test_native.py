"""The `native` generator with small random weights, and with the shipped ones."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from evaluation.base.challenge import Challenge, get_challenge
from evaluation.base.images import ImageSet
from evaluation.data.datasets import load_split
from submission.contract.generator import LoadContext, get_generator
from submission.contract.job import image_seed
from submission.contract.weights import SHIPPED, WeightsHeader, load_weights, save_weights
from submission.diffusion.networks.denoiser import AUGMENT_CONDITION, SIGMA_DATA
from submission.diffusion.networks.unet import UNet, UNetConfig, fold
from submission.diffusion.samplers import SOLVERS
from submission.generators.native import Native
from submission.training.common.held_out import split_held_out
from submission.training.native.model_selection import class_distance
from tests.submission.networks_called import all_are_called

DIGITS = get_challenge("digits")
SHIPPED_DIGITS = SHIPPED / "native-digits.safetensors"
TINY = UNetConfig(size=32, patch=4, widths=(16, 32), blocks=1, attention=(4,))


def write_tiny(path: Path, challenge: Challenge = DIGITS, solver: str = "dpm2m") -> Path:
    """Weights of a tiny random network that answers something."""
    torch.manual_seed(0)
    network = UNet(TINY, challenge.classes, AUGMENT_CONDITION)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("gain"):
                parameter.fill_(0.5)
    model = {"network": asdict(TINY), "sigma_data": SIGMA_DATA, "solver": solver, "steps": 5, "middle": 0.8}
    header = WeightsHeader("native", challenge.name, challenge.class_names, "nothing", "Apache-2.0", 0, model)
    save_weights(path, fold(network).state_dict(), header)
    return path


def load(weights: Path, **settings: str) -> Native:
    return Native.load(LoadContext(DIGITS, "cpu", weights, settings=settings))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write_tiny(tmp_path / "native-digits.safetensors")


def orders(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.arange(count) % 10
    return labels, torch.tensor([image_seed(0, int(label), i) for i, label in enumerate(labels)])


def test_registry_has_it() -> None:
    assert get_generator("native") is Native


@pytest.mark.parametrize("solver", SOLVERS)
def test_images_have_the_contracts_form(weights: Path, solver: str) -> None:
    labels, seeds = orders(6)
    images = load(weights, solver=solver).generate(labels, seeds, 3)
    assert images.dtype == torch.uint8
    assert images.shape == (6, 3, 32, 32)
    assert images.is_contiguous()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_an_image_is_the_same_at_every_batch_size(weights: Path, precision: str) -> None:
    """To rounding: the arithmetic of a convolution may depend on the batch, so a level of 255 may differ by one."""
    native = load(weights, precision=precision)
    labels, seeds = orders(64)
    together = native.generate(labels, seeds, 4).int()
    alone = torch.cat([native.generate(labels[i : i + 1], seeds[i : i + 1], 4) for i in range(64)]).int()
    uneven = torch.cat([native.generate(a, b, 4) for a, b in zip(labels.split(23), seeds.split(23), strict=True)]).int()
    tolerance = 1 if precision == "fp32" else 6  # bf16 keeps 8 bits
    assert (together - alone).abs().max() <= tolerance
    assert (together - uneven).abs().max() <= tolerance
    assert together.float().std() > 20


def test_seed_label_and_steps_make_the_image(weights: Path) -> None:
    native = load(weights)
    labels, seeds = orders(8)
    images = native.generate(labels, seeds, 4)
    assert torch.equal(native.generate(labels, seeds, 4), images)
    assert torch.equal(load(weights).generate(labels, seeds, 4), images)
    for other in (
        native.generate(labels, seeds + 1, 4),
        native.generate((labels + 1) % 10, seeds, 4),
        native.generate(labels, seeds, 5),
    ):
        assert all((a != b).any() for a, b in zip(images, other, strict=True))


def test_guidance_one_is_none_and_zero_forgets_the_class(weights: Path) -> None:
    labels, seeds = orders(8)
    plain = load(weights, precision="fp32").generate(labels, seeds, 4).int()
    assert (load(weights, precision="fp32", guidance="1.0").generate(labels, seeds, 4).int() - plain).abs().max() == 0
    assert (load(weights, precision="fp32", guidance="3").generate(labels, seeds, 4).int() - plain).abs().max() > 1
    zero = load(weights, precision="fp32", guidance="0")
    assert torch.equal(zero.generate(labels, seeds, 4), zero.generate((labels + 1) % 10, seeds, 4))


def test_solver_and_steps_come_from_the_weights(weights: Path) -> None:
    native = load(weights)
    assert native.solver == "dpm2m"
    assert Native.default_steps(weights) == 5


def test_guidance_and_noise_scale_come_from_weights_that_say_them(weights: Path, tmp_path: Path) -> None:
    tensors, header = load_weights(weights, "native", DIGITS)
    told = replace(header, model={**header.model, "guidance": 3.0, "noise_scale": 0.9})
    save_weights(tmp_path / "told.safetensors", tensors, told)
    labels, seeds = orders(8)
    by_weights = load(tmp_path / "told.safetensors", precision="fp32")
    assert (by_weights.guidance, by_weights.noise_scale) == (3.0, 0.9)
    by_hand = load(weights, precision="fp32", guidance="3", noise_scale="0.9")
    assert torch.equal(by_weights.generate(labels, seeds, 4), by_hand.generate(labels, seeds, 4))
    over = load(tmp_path / "told.safetensors", precision="fp32", guidance="1", noise_scale="1")
    assert torch.equal(over.generate(labels, seeds, 4), load(weights, precision="fp32").generate(labels, seeds, 4))
    assert load(weights, solver="heun").solver == "heun"


def test_weights_that_name_a_solver_of_former_versions_need_another(tmp_path: Path) -> None:
    path = write_tiny(tmp_path / "former.safetensors", solver="unipc")
    with pytest.raises(ValueError, match="names the solver 'unipc', which is no longer there; add --set solver=NAME"):
        load(path)
    assert load(path, solver="ipndm").solver == "ipndm"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"colour": "red"},
            "generator 'native' has no setting 'colour'; it has: solver, guidance, noise_scale, precision",
        ),
        (
            {"solver": "magic"},
            "solver must be one of euler, heun, dpm2m, ipndm, consistency, not 'magic'",
        ),
        ({"precision": "int4"}, "precision must be one of fp32, bf16, fp16, auto, not 'int4'"),
        ({"noise_scale": "3"}, "noise_scale must be a number from 0 to 2"),
        ({"guidance": "much"}, "guidance must be a number from 0 to 20"),
        ({"guidance": "nan"}, "guidance must be a number from 0 to 20"),
        ({"guidance": "-1"}, "guidance must be a number from 0 to 20"),
    ],
)
def test_settings_that_do_not_fit_are_told(settings: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence.replace("(", r"\(")):
        Native.resolve_settings(settings)


def test_noise_is_scaled_down_to_the_middle_of_the_class(weights: Path) -> None:
    labels, seeds = orders(40)
    plain, same, none = (
        load(weights, precision="fp32", **scale).generate(labels, seeds, 4).float()
        for scale in ({}, {"noise_scale": "1.0"}, {"noise_scale": "0"})
    )
    assert torch.equal(plain, same)
    assert torch.equal(none[:10], none[10:20])  # no noise, so nothing but the class is left
    assert not torch.equal(none[0], none[1])


def test_a_consistency_model_takes_fresh_noise_of_each_images_own_at_each_step(tmp_path: Path) -> None:
    path = write_tiny(tmp_path / "tuned.safetensors", solver="consistency")
    native = load(path, precision="fp32")
    assert native.solver == "consistency"
    labels, seeds = orders(12)
    one, two = native.generate(labels, seeds, 1), native.generate(labels, seeds, 2)
    assert (one != two).flatten(1).any(dim=1).all()
    alone = torch.cat([native.generate(labels[i : i + 1], seeds[i : i + 1], 2) for i in range(12)])
    assert (two.int() - alone.int()).abs().max() <= 1
    drawn = [native._noise(seeds, i) for i in range(3)]
    assert abs(float((drawn[0] * drawn[1]).mean())) < 0.02
    assert abs(float((drawn[1] * drawn[2]).mean())) < 0.02


@pytest.mark.parametrize(
    ("solver", "settings", "sentence"),
    [
        ("consistency", {"solver": "heun"}, "a consistency model, which no other solver fits; leave out solver"),
        ("consistency", {"guidance": "2"}, "a consistency model, which cannot be guided; leave out guidance"),
        (
            "dpm2m",
            {"solver": "consistency"},
            "solver consistency needs weights from `python -m submission.training dist",
        ),
    ],
)
def test_settings_that_do_not_fit_the_weights_are_told_before_the_clock(
    tmp_path: Path, solver: str, settings: dict[str, str], sentence: str
) -> None:
    path = write_tiny(tmp_path / "native.safetensors", solver=solver)
    Native.resolve_settings(settings)
    with pytest.raises(ValueError, match=sentence):
        Native.resolve_settings(settings, path)
    with pytest.raises(ValueError, match=sentence):
        load(path, **settings)


def test_weights_that_do_not_fit_are_told(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="trained for the 10 classes"):
        Native.load(LoadContext(get_challenge("cifar100"), "cpu", weights))
    torch.manual_seed(0)
    wider = UNet(replace(TINY, widths=(16, 48)), 10, AUGMENT_CONDITION)
    model = {"network": asdict(TINY), "sigma_data": SIGMA_DATA, "solver": "dpm2m", "steps": 5}
    header = WeightsHeader("native", "digits", DIGITS.class_names, "nothing", "Apache-2.0", 0, model)
    save_weights(tmp_path / "wider.safetensors", wider.state_dict(), header)
    with pytest.raises(ValueError, match="does not hold the tensors of the network that its header describes"):
        load(tmp_path / "wider.safetensors")


def test_missing_weights_name_the_training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("submission.contract.weights.SHIPPED", tmp_path)
    with pytest.raises(ValueError, match=r"python -m submission\.training native --dataset tiny-imagenet"):
        Native.find_weights(get_challenge("tiny-imagenet"), None)


def test_shipped_digits_are_small_and_made_for_digits() -> None:
    assert SHIPPED_DIGITS.stat().st_size < 4e6
    Native.load(LoadContext(DIGITS, "cpu", Native.find_weights(DIGITS, None)))
    assert Native.default_steps(SHIPPED_DIGITS) >= 4


def test_shipped_digits_look_like_digits() -> None:
    """Closer to held-out training images of their class than digits of the other classes are, by far."""
    native = Native.load(LoadContext(DIGITS, "cpu", SHIPPED_DIGITS))
    labels = torch.arange(10).repeat(20)
    made = native.generate(labels, torch.arange(200), Native.default_steps(SHIPPED_DIGITS)).numpy()
    _, held_out = split_held_out(load_split(DIGITS, "train", None))
    right = class_distance(ImageSet(made, labels.numpy()), held_out)
    wrong = class_distance(ImageSet(made, (labels.numpy() + 1) % 10), held_out)
    assert right < 0.1 * wrong


def test_what_can_be_compiled_is_what_is_called(weights: Path) -> None:
    assert all_are_called(load(weights), torch.arange(2), torch.arange(2), 2)
