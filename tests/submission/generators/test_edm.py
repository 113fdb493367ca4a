"""The `edm` generator with small random networks in its own weights files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.models.edm import dhariwal, song, write_edm
from evaluation.base.challenge import get_challenge
from submission.classes.imagenet import SKIP, imagenet_choices, imagenet_labels
from submission.contract.generator import LoadContext, get_generator
from submission.contract.job import image_seed
from submission.contract.seeded import normal
from submission.diffusion.networks.denoiser import Denoiser
from submission.diffusion.samplers import SIGMA_MAX, SOLVERS
from submission.generators.edm import IMAGENET, Edm
from tests.submission.networks_called import all_are_called


def load(path: Path, dataset: str = "digits", **settings: str) -> Edm:
    return Edm.load(LoadContext(get_challenge(dataset), "cpu", path, settings=settings))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write_edm(tmp_path / "edm-digits.safetensors", song())


def orders(count: int, classes: int = 10) -> tuple[Tensor, Tensor]:
    labels = torch.arange(count) % classes
    return labels, torch.tensor([image_seed(0, int(label), i) for i, label in enumerate(labels)])


def test_registry_has_it() -> None:
    assert get_generator("edm") is Edm


@pytest.mark.parametrize("solver", SOLVERS)
def test_images_have_the_contracts_form(weights: Path, solver: str) -> None:
    images = load(weights, solver=solver).generate(*orders(6), 4)
    assert images.dtype == torch.uint8 and images.shape == (6, 3, 16, 16) and images.is_contiguous()
    assert images.float().std() > 20


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("make", [song, dhariwal])
def test_an_image_is_the_same_at_every_batch_size(tmp_path: Path, make: Any, precision: str) -> None:
    """To rounding, as with `native`: a few of the pixels may differ by some levels in 16 bits."""
    edm = load(write_edm(tmp_path / "a.safetensors", make()), precision=precision)
    labels, seeds = orders(12)
    together = edm.generate(labels, seeds, 3).int()
    alone = torch.cat([edm.generate(labels[i : i + 1], seeds[i : i + 1], 3) for i in range(12)]).int()
    difference = (together - alone).abs().float()
    assert difference.max() <= 1 if precision == "fp32" else difference.mean() < 2


def test_seed_label_and_steps_make_the_image(weights: Path) -> None:
    edm = load(weights)
    labels, seeds = orders(8)
    images = edm.generate(labels, seeds, 4)
    assert torch.equal(load(weights).generate(labels, seeds, 4), images)
    for other in (
        edm.generate(labels, seeds + 1, 4),
        edm.generate((labels + 1) % 10, seeds, 4),
        edm.generate(labels, seeds, 5),
    ):
        assert all((a != b).any() for a, b in zip(images, other, strict=True))


@pytest.mark.parametrize("sigma", [SIGMA_MAX, 2.5])
def test_one_step_is_the_denoised_noise_of_the_level_asked_for(weights: Path, sigma: float) -> None:
    """What one-step networks want: 2.5 is that of SiD, 80 that of DMD2."""
    labels, seeds = orders(5)
    images = load(weights, sigma_max=str(sigma), precision="fp32").generate(labels, seeds, 1)
    noise = normal(seeds, 3 * 16 * 16, skip=SKIP).view(-1, 3, 16, 16)
    with torch.inference_mode():
        clean = Denoiser(song())(sigma * noise, torch.full((5,), sigma), labels)
    expected = ((clean + 1) * 127.5).round().clamp(0, 255)
    assert (images.float() - expected).abs().max() <= 1


def labels_seen(edm: Edm, labels: Tensor, seeds: Tensor) -> Tensor:
    seen: list[Tensor] = []
    edm.denoiser.network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[2]))
    edm.generate(labels, seeds, 1)
    return seen[0]


def test_labels_of_cifar100_are_its_fine_labels(tmp_path: Path) -> None:
    edm = load(write_edm(tmp_path / "a.safetensors", song(classes=100), "cifar100"), "cifar100")
    labels, seeds = orders(100, 100)
    assert torch.equal(labels_seen(edm, labels, seeds), labels)


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imagenet")
    write_edm(folder / "edm-imagenet.safetensors", dhariwal(classes=1000, blocks=1), IMAGENET)
    return folder


def test_labels_of_tiny_imagenet_go_to_imagenets(imagenet: Path) -> None:
    challenge = get_challenge("tiny-imagenet")
    path = Edm.find_weights(challenge, str(imagenet))
    labels, seeds = orders(200, 200)
    assert labels_seen(load(path, "tiny-imagenet"), labels, seeds).tolist() == list(imagenet_labels(challenge))


def test_labels_of_cifar100_go_to_all_their_counterparts_in_imagenet(imagenet: Path) -> None:
    challenge = get_challenge("cifar100")
    edm = load(Edm.find_weights(challenge, str(imagenet)), "cifar100")
    bottle = challenge.class_names.index("bottle")
    seen = labels_seen(edm, torch.full((60,), bottle), torch.arange(60))
    assert set(seen.tolist()) == set(imagenet_choices(challenge)[bottle])


def test_a_network_of_the_challenge_itself_comes_first(imagenet: Path) -> None:
    own = write_edm(imagenet / "edm-cifar100.safetensors", song(classes=100), "cifar100")
    assert Edm.find_weights(get_challenge("cifar100"), str(imagenet)) == own
    own.unlink()


def test_guidance_is_for_networks_that_know_a_null_label(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="was trained with labels alone; leave out --set guidance"):
        Edm.resolve_settings({"guidance": "2"}, weights)  # before the clock
    Edm.resolve_settings({"guidance": "1", "solver": "heun"}, weights)
    labels, seeds = orders(6)
    dropped = write_edm(tmp_path / "dropped.safetensors", song(label_dropout=0.1))
    plain = load(weights, precision="fp32").generate(labels, seeds, 3).int()
    assert torch.equal(load(dropped, precision="fp32", guidance="1").generate(labels, seeds, 3).int(), plain)
    assert (load(dropped, precision="fp32", guidance="3").generate(labels, seeds, 3).int() - plain).abs().max() > 1
    none = load(dropped, precision="fp32", guidance="0")
    assert torch.equal(none.generate(labels, seeds, 3), none.generate((labels + 1) % 10, seeds, 3))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"colour": "red"}, "generator 'edm' has no setting 'colour'; it has: solver, guidance, sigma_max, precision"),
        ({"solver": "magic"}, "solver must be one of euler, heun"),
        ({"precision": "int4"}, "precision must be one of"),
        ({"sigma_max": "high"}, "sigma_max must be a number from 0.01 to 1000, not 'high'"),
        ({"sigma_max": "0"}, "sigma_max must be a number"),
        ({"sigma_max": "nan"}, "sigma_max must be a number"),
        ({"guidance": "much"}, "guidance must be a number"),
    ],
)
def test_settings_that_do_not_fit_are_told(settings: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Edm.resolve_settings(settings)


def test_weights_that_do_not_fit_are_told_before_the_clock(weights: Path, imagenet: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.safetensors"
    half.write_bytes(weights.read_bytes()[:-1000])
    other = write_edm(tmp_path / "other.safetensors", song(), generator="native")
    (tmp_path / "empty").mkdir()
    convert = r"`python -m submission\.training convert-edm FILE\.pkl --dataset"
    for dataset, source, sentence in (
        ("cifar100", None, rf"needs --weights: convert a published network with {convert} cifar100"),
        ("tiny-imagenet", None, rf"{convert} imagenet"),
        (
            "cifar100",
            tmp_path / "network.pkl",
            rf"network\.pkl is a pickle, which no run loads; convert it with {convert}",
        ),
        ("cifar100", tmp_path / "empty", r"holds no edm-cifar100\.safetensors or edm-imagenet\.safetensors; convert"),
        ("cifar100", tmp_path / "nothing.safetensors", r"there are no weights at .*nothing\.safetensors"),
        ("cifar100", half, r"half\.safetensors is damaged"),
        (
            "cifar100",
            weights,
            "knows the 10 classes of 'digits', not the 100 of 'cifar100'; give weights of 'cifar100'",
        ),
        ("digits", other, "holds weights of generator 'native', not of 'edm'"),
        ("digits", imagenet, "the classes of 'digits' have no counterparts in ImageNet"),
    ):
        with pytest.raises(ValueError, match=sentence) as caught:
            Edm.find_weights(get_challenge(dataset), None if source is None else str(source))
        assert "\n" not in str(caught.value)


def test_tensors_of_another_network_are_told(tmp_path: Path) -> None:
    network = song()
    network.map_layer0 = torch.nn.Linear(16, 63)
    with pytest.raises(ValueError, match="does not hold the tensors of the network that its header describes"):
        load(write_edm(tmp_path / "a.safetensors", network))


def test_what_can_be_compiled_is_what_is_called(weights: Path) -> None:
    assert all_are_called(load(weights), *orders(2), 2)
