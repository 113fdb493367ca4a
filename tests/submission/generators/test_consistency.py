"""The `consistency` generator with a small random model saved as the published ones are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.models.tiny import CONSISTENCY_SIZE as SIZE
from benchmarks.models.tiny import write_consistency
from evaluation.base.challenge import get_challenge
from submission.classes.imagenet import imagenet_choices, imagenet_labels
from submission.contract.generator import LoadContext, get_generator
from submission.contract.job import image_seed
from submission.generators.consistency import Consistency, ConsistencySchedule
from tests.submission.networks_called import all_are_called

TINY = get_challenge("tiny-imagenet")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_consistency(tmp_path_factory.mktemp("model"))


def load(model: Path, dataset: str = "tiny-imagenet", **settings: str) -> Consistency:
    challenge = get_challenge(dataset)
    path = Consistency.find_weights(challenge, str(model))
    return Consistency.load(LoadContext(challenge, "cpu", path, settings=settings))


def orders(count: int, classes: int = 200) -> tuple[Tensor, Tensor]:
    labels = torch.arange(count) % classes
    return labels, torch.tensor([image_seed(0, int(label), i) for i, label in enumerate(labels)])


def test_registry_has_it() -> None:
    assert get_generator("consistency") is Consistency


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_images_have_the_contracts_form(model: Path, steps: int) -> None:
    images = load(model).generate(*orders(6), steps)
    assert images.dtype == torch.uint8 and images.shape == (6, 3, SIZE, SIZE) and images.is_contiguous()
    assert images.float().std() > 20


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_an_image_is_the_same_at_every_batch_size(model: Path, precision: str, steps: int) -> None:
    consistency = load(model, precision=precision)
    labels, seeds = orders(12)
    together = consistency.generate(labels, seeds, steps).int()
    alone = torch.cat([consistency.generate(labels[i : i + 1], seeds[i : i + 1], steps) for i in range(12)]).int()
    difference = (together - alone).abs().float()
    assert difference.max() <= 1 if precision == "fp32" else difference.mean() < 2


def test_seed_label_and_steps_make_the_image(model: Path) -> None:
    consistency = load(model)
    labels, seeds = orders(8)
    images = consistency.generate(labels, seeds, 2)
    assert torch.equal(load(model).generate(labels, seeds, 2), images)
    for other in (
        consistency.generate(labels, seeds + 1, 2),
        consistency.generate(labels + 1, seeds, 2),
        consistency.generate(labels, seeds, 1),
    ):
        assert all((a != b).any() for a, b in zip(images, other, strict=True))


def test_noise_of_a_step_is_its_own_and_normal(model: Path) -> None:
    consistency = load(model)
    first, second = (consistency._noise(torch.arange(200), step) for step in (0, 1))
    for noise in (first, second):
        assert abs(float(noise.mean())) < 0.02 and abs(float(noise.std()) - 1) < 0.02
    correlation = torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1]
    assert abs(float(correlation)) < 0.02


def by_the_scheduler(
    consistency: Consistency, labels: Tensor, seeds: Tensor, steps: int, monkeypatch: pytest.MonkeyPatch
) -> Tensor:
    """The images as diffusers' scheduler makes them from the same noise, uint8."""
    from diffusers import CMStochasticIterativeScheduler
    from diffusers.schedulers import scheduling_consistency_models as module

    scheduler: Any = CMStochasticIterativeScheduler(num_train_timesteps=40)
    noises = iter([consistency._noise(seeds, step) for step in range(steps + 1)])
    monkeypatch.setattr(module, "randn_tensor", lambda *_, **__: next(noises))
    if steps == 2:
        scheduler.set_timesteps(timesteps=[22, 0])
    else:
        scheduler.set_timesteps(steps)
    x = next(noises) * scheduler.init_noise_sigma
    with torch.inference_mode():
        for t in scheduler.timesteps:
            answer = consistency.unet(scheduler.scale_model_input(x, t), t, class_labels=labels, return_dict=False)[0]
            x = scheduler.step(answer, t, x, return_dict=False)[0]
    return (255 * (x / 2 + 0.5).clamp(0, 1)).round().byte()


@pytest.mark.parametrize("steps", [1, 2, 5, 40])
def test_images_are_those_of_diffusers_scheduler(model: Path, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    consistency = load(model, precision="fp32")
    labels, seeds = orders(2)
    imagenet = torch.tensor(imagenet_labels(TINY))[labels]
    expected = by_the_scheduler(consistency, imagenet, seeds, steps, monkeypatch)
    made = consistency.generate(labels, seeds, steps)
    assert (made.int() - expected.int()).abs().max() <= 1
    assert made.float().std() > 20


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 2])
def test_images_are_those_of_diffusers_pipeline(model: Path, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from diffusers import CMStochasticIterativeScheduler, ConsistencyModelPipeline
    from diffusers.schedulers import scheduling_consistency_models as module

    consistency = load(model, precision="fp32")
    labels, seeds = orders(4)
    noises = iter([consistency._noise(seeds, step) for step in (1, 2)])
    monkeypatch.setattr(module, "randn_tensor", lambda *_, **__: next(noises))
    scheduler = CMStochasticIterativeScheduler.from_pretrained(model, subfolder="scheduler")
    pipeline: Any = ConsistencyModelPipeline(consistency.unet, scheduler)
    pipeline.set_progress_bar_config(disable=True)
    told = {"num_inference_steps": None, "timesteps": [22, 0]} if steps == 2 else {"num_inference_steps": 1}
    imagenet = torch.tensor(imagenet_labels(TINY))[labels].tolist()
    images = pipeline(4, imagenet, latents=consistency._noise(seeds, 0), output_type="np", **told).images
    expected = torch.from_numpy(images).permute(0, 3, 1, 2) * 255
    assert (consistency.generate(labels, seeds, steps).float() - expected.round()).abs().max() <= 1


def test_two_steps_are_the_published_ones() -> None:
    assert ConsistencySchedule().sigmas(1) == pytest.approx([80.0])
    assert ConsistencySchedule().sigmas(2) == pytest.approx([80.0, 1.3824], abs=1e-4)
    assert len(ConsistencySchedule().sigmas(7)) == 7
    assert len(ConsistencySchedule(num_train_timesteps=201).sigmas(2)) == 2
    with pytest.raises(ValueError, match="of 40 noise levels has no 41 steps"):
        ConsistencySchedule().sigmas(41)


def labels_seen(consistency: Consistency, labels: Tensor, seeds: Tensor) -> list[int]:
    seen: list[Tensor] = []
    consistency.unet.class_embedding.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    consistency.generate(labels, seeds, 1)
    return seen[0].tolist()


def test_labels_of_tiny_imagenet_go_to_imagenets(model: Path) -> None:
    assert labels_seen(load(model), *orders(200)) == list(imagenet_labels(TINY))


def test_labels_of_cifar100_go_to_their_counterparts(model: Path) -> None:
    choices = imagenet_choices(get_challenge("cifar100"))
    labels, seeds = orders(100, 100)
    seen = labels_seen(load(model, "cifar100"), labels, seeds)
    assert all(made in choices[label] for made, label in zip(seen, labels.tolist(), strict=True))


def test_digits_are_refused_before_anything_is_fetched() -> None:
    for look in (Consistency.check_weights, lambda challenge: Consistency.find_weights(challenge, None)):
        with pytest.raises(
            ValueError, match="the classes of 'digits' have no counterparts in ImageNet; choose another"
        ):
            look(get_challenge("digits"))


@pytest.mark.parametrize("form", ["fp16", "bin"])
def test_other_forms_of_the_published_files(model: Path, tmp_path: Path, form: str) -> None:
    from diffusers import UNet2DModel

    unet: Any = UNet2DModel.from_pretrained(model, subfolder="unet")
    if form == "fp16":
        unet.half().save_pretrained(tmp_path / "unet", variant="fp16")
    else:
        unet.save_pretrained(tmp_path / "unet", safe_serialization=False)
    (tmp_path / "scheduler").symlink_to(model / "scheduler")
    images = load(tmp_path, precision="fp32").generate(*orders(4), 2)
    assert (images.float() - load(model, precision="fp32").generate(*orders(4), 2).float()).abs().mean() < 1


def test_models_that_do_not_fit_are_told_before_the_clock(model: Path, tmp_path: Path) -> None:
    def altered(name: str, file: str, content: bytes | None) -> str:
        folder = tmp_path / name
        for path in (path for path in model.rglob("*") if path.is_file()):
            copy = folder / path.relative_to(model)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
        if content is None:
            (folder / file).unlink()
        else:
            (folder / file).write_bytes(content)
        return str(folder)

    weights, config = "unet/diffusion_pytorch_model.safetensors", "unet/config.json"
    whole, told = (model / weights).read_bytes(), json.loads((model / config).read_text())
    scheduler = json.dumps({"_class_name": "DDPMScheduler"}).encode()
    ten = json.dumps({**told, "num_class_embeds": 10}).encode()
    none = json.dumps({**told, "num_class_embeds": None}).encode()
    for source, sentence in (
        (str(tmp_path / "nothing"), "there is no folder"),
        (
            altered("missing", weights, None),
            r"holds no unet/diffusion_pytorch_model\.safetensors or .*; copy the model",
        ),
        (altered("unscheduled", "scheduler/scheduler_config.json", None), r"holds no scheduler/scheduler_config\.json"),
        (
            altered("half", weights, whole[: len(whole) // 2]),
            r"\.safetensors is damaged or half a download; copy the model",
        ),
        (altered("config", config, b"{"), r"config\.json is damaged"),
        (
            altered("other", "scheduler/scheduler_config.json", scheduler),
            "is of a DDPMScheduler, not of a CMStochastic",
        ),
        (altered("ten", config, ten), "holds a model of 10 classes, not of ImageNet's 1000"),
        (altered("none", config, none), "holds a model of no classes, not of ImageNet's 1000"),
    ):
        with pytest.raises(ValueError, match=sentence) as caught:
            Consistency.find_weights(TINY, source)
        assert "\n" not in str(caught.value)
    both = altered("both", "unet/diffusion_pytorch_model.bin", b"PK half of an archive")
    with pytest.raises(ValueError, match=r"\.bin is damaged or half a download"):
        Consistency.find_weights(TINY, both)


def test_settings_that_do_not_fit_are_told() -> None:
    with pytest.raises(ValueError, match="generator 'consistency' has no setting 'guidance'; it has: precision"):
        Consistency.resolve_settings({"guidance": "2"})
    with pytest.raises(ValueError, match="precision must be one of"):
        Consistency.resolve_settings({"precision": "int4"})


def test_what_can_be_compiled_is_what_is_called(model: Path) -> None:
    assert all_are_called(load(model), *orders(2), 1)
