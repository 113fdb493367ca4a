"""`sdxl-turbo` on a tiny model of random weights in the published layout."""

from __future__ import annotations

import gc
import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.models.sdxl import write_sdxl, write_tiny_decoder
from evaluation.base.challenge import Challenge, get_challenge
from submission.classes.prompts import prompts_setting, template_prompts
from submission.contract.generator import LoadContext, get_generator
from submission.contract.precision import fastest_precision
from submission.contract.seeded import normal
from submission.diffusion.latent_samplers import euler_ancestral, trailing_timesteps
from submission.diffusion.text_model import encode_prompts
from submission.generators.sdxl_turbo import CHANNELS, SdxlTurbo
from tests.submission.networks_called import all_are_called

DIGITS, CIFAR, TINY = get_challenge("digits"), get_challenge("cifar100"), get_challenge("tiny-imagenet")
SIZE = 64


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sdxl(tmp_path_factory.mktemp("sdxl"))


def load(weights: Path, challenge: Challenge = DIGITS, **settings: str) -> SdxlTurbo:
    settings = {"size": str(SIZE), "precision": "fp32", **settings}
    SdxlTurbo.resolve_settings(settings)
    return SdxlTurbo.load(
        LoadContext(challenge, "cpu", SdxlTurbo.find_weights(challenge, str(weights)), settings=settings)
    )


def orders(count: int) -> tuple[Tensor, Tensor]:
    return torch.arange(count) % 10, torch.arange(count) * 7919 + 1


def test_registry_has_it() -> None:
    assert get_generator("sdxl-turbo") is SdxlTurbo
    assert SdxlTurbo.info.default_steps == 1


def test_images_have_the_contracts_form(weights: Path) -> None:
    images = load(weights, size="72").generate(*orders(5), 1)
    assert images.dtype == torch.uint8 and images.is_contiguous()
    assert images.shape == (5, 3, 72, 72)
    assert 20 < images.float().std() < 120


@pytest.mark.parametrize("steps", [1, 3])
def test_an_image_is_the_same_at_every_batch_size(weights: Path, steps: int) -> None:
    """To rounding, and also the noise within the sampling and the choice among several prompts."""
    several = tuple((f"a {label}", f"many of {label}") for label in range(10))
    turbo = load(weights, prompts=prompts_setting(several, DIGITS))
    labels, seeds = orders(12)
    together = turbo.generate(labels, seeds, steps).int()
    alone = torch.cat([turbo.generate(labels[i : i + 1], seeds[i : i + 1], steps) for i in range(12)]).int()
    uneven = [turbo.generate(a, b, steps) for a, b in zip(labels.split(5), seeds.split(5), strict=True)]
    assert (together - alone).abs().max() <= 1
    assert (together - torch.cat(uneven).int()).abs().max() <= 1


def test_seed_label_and_steps_make_the_image(weights: Path) -> None:
    turbo = load(weights)
    labels, seeds = orders(6)
    images = turbo.generate(labels, seeds, 1)
    assert torch.equal(turbo.generate(labels, seeds, 1), images)
    for other in (
        turbo.generate(labels, seeds + 1, 1),
        turbo.generate((labels + 1) % 10, seeds, 1),
        turbo.generate(labels, seeds, 2),
    ):
        assert all((a != b).any() for a, b in zip(images, other, strict=True))


@pytest.mark.parametrize("challenge", [CIFAR, TINY, DIGITS], ids=lambda c: c.name)
def test_label_i_is_told_the_prompt_of_class_i(weights: Path, challenge: Challenge) -> None:
    """By construction: the prompt that a label chooses, and that of its class encoded alone, are the same tensor."""
    turbo = load(weights, challenge)
    labels = torch.arange(challenge.classes)
    context, pooled = turbo.table.choose(labels, labels + 5)
    for label in range(0, challenge.classes, 9):
        alone = encode_prompts(weights, (template_prompts(challenge)[label],), torch.float32, "cpu")
        assert torch.allclose(context[label], alone.context_PLD[0], atol=1e-5)
        assert torch.allclose(pooled[label], alone.pooled_PE[0], atol=1e-5)
    assert len(pooled.unique(dim=0)) == challenge.classes


def test_several_prompts_of_a_class_are_all_used_and_by_no_other(weights: Path) -> None:
    several = tuple(tuple(f"{label} {word}" for word in ("a", "b", "c")[: 1 + label % 3]) for label in range(10))
    table = encode_prompts(weights, several, torch.float32, "cpu")
    for label in range(10):
        _, pooled = table.choose(torch.full((60,), label), torch.arange(60))
        alone = encode_prompts(weights, (several[label],), torch.float32, "cpu").pooled_PE
        assert torch.allclose(pooled.unique(dim=0), alone.unique(dim=0), atol=1e-5)


def test_the_users_prompts_take_the_templates_place(weights: Path) -> None:
    labels, seeds = orders(4)
    same = load(weights, prompts=prompts_setting(template_prompts(DIGITS), DIGITS)).generate(labels, seeds, 1)
    other = load(weights, template="a drawing of {a_name}").generate(labels, seeds, 1)
    plain = load(weights).generate(labels, seeds, 1)
    assert torch.equal(plain, same) and not torch.equal(plain, other)


def test_the_text_encoders_are_gone(weights: Path) -> None:
    """Encoded once per class at load, then dropped: of their gigabytes only the encoded prompts stay."""
    from transformers import CLIPTextModel

    turbo = load(weights)
    gc.collect()
    assert not any(type(held) is CLIPTextModel for held in gc.get_objects())
    assert turbo.table.context_PLD.shape[0] == 10


def test_half_precision_copies_alone(tmp_path: Path, weights: Path) -> None:
    """As the default fetches them: `*.fp16.safetensors` and no others."""
    half = write_sdxl(tmp_path / "half", half=True, full=False)
    assert not list(half.rglob("model.safetensors")) and len(list(half.rglob("*.fp16.safetensors"))) == 4
    labels, seeds = orders(6)
    near = load(half).generate(labels, seeds, 1).int() - load(weights).generate(labels, seeds, 1).int()
    assert near.abs().float().mean() < 1


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precisions(weights: Path, precision: str) -> None:
    labels, seeds = orders(6)
    turbo = load(weights, precision=precision)
    # fp16 cannot hold what SDXL's decoder computes
    assert turbo.decoder.autoencoder.dtype == (torch.bfloat16 if precision == "bf16" else fastest_precision("cpu"))
    near = turbo.generate(labels, seeds, 1).int() - load(weights).generate(labels, seeds, 1).int()
    assert near.abs().float().mean() < 8


def test_the_tiny_decoder(weights: Path, tmp_path: Path) -> None:
    tiny = write_tiny_decoder(tmp_path / "taesdxl")
    labels, seeds = orders(4)
    images = load(weights, decoder="tiny", decoder_weights=str(tiny)).generate(labels, seeds, 1)
    assert images.shape == (4, 3, SIZE, SIZE) and images.float().std() > 1
    with pytest.raises(ValueError, match=r"there is no folder .*as --set decoder_weights="):
        SdxlTurbo.resolve_settings({"decoder": "tiny", "decoder_weights": str(tmp_path / "none")})
    (tiny / "config.json").unlink()
    with pytest.raises(ValueError, match=r"holds no config\.json"):
        SdxlTurbo.resolve_settings({"decoder": "tiny", "decoder_weights": str(tiny)})


def test_decoding_in_parts_changes_nothing(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels, seeds = orders(5)
    turbo = load(weights)
    whole = turbo.generate(labels, seeds, 1).int()
    monkeypatch.setattr("submission.generators.sdxl_turbo.DECODED_AT_ONCE", 2 * SIZE * SIZE)
    assert (turbo.generate(labels, seeds, 1).int() - whole).abs().max() <= 1


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"colour": "red"}, "has no setting 'colour'; it has: decoder, decoder_weights, size, template, prompts"),
        ({"decoder": "none"}, "decoder must be one of full, tiny, not 'none'"),
        ({"decoder_weights": "x"}, "decoder_weights is for decoder=tiny"),
        ({"size": "100"}, "size must be a multiple of 8 from 64 to 1,024, not '100'"),
        ({"size": "large"}, "size must be a multiple of 8"),
        ({"template": "a photo"}, "names no class"),
        ({"prompts": "apples"}, "give a file of them with --prompts FILE"),
        ({"prompts": "{}", "template": "{name}"}, "exclude each other"),
        ({"precision": "int4"}, "precision must be one of"),
    ],
)
def test_settings_that_do_not_fit_are_told(settings: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SdxlTurbo.resolve_settings(settings)


@pytest.mark.parametrize(
    "missing",
    [
        "unet/diffusion_pytorch_model.safetensors",
        "text_encoder_2/model.safetensors",
        "tokenizer_2/merges.txt",
        "vae/config.json",
        "scheduler/scheduler_config.json",
    ],
)
def test_a_missing_file_is_told_before_the_clock(weights: Path, tmp_path: Path, missing: str) -> None:
    folder = Path(shutil.copytree(weights, tmp_path / "model"))
    (folder / missing).unlink()
    with pytest.raises(ValueError, match=rf"holds no .*{missing}.*copy the model of stabilityai/sdxl-turbo whole"):
        SdxlTurbo.find_weights(DIGITS, str(folder))


@pytest.mark.parametrize("name", ["unet/diffusion_pytorch_model.safetensors", "vae/config.json"])
def test_half_a_download_is_told_before_the_clock(weights: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(weights, tmp_path / "model"))
    path = folder / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=rf"{name} is damaged or half a download"):
        SdxlTurbo.find_weights(DIGITS, str(folder))


def test_a_model_of_another_kind_is_told(weights: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(weights, tmp_path / "model"))
    shutil.copy(folder / "vae/diffusion_pytorch_model.safetensors", folder / "unet/diffusion_pytorch_model.safetensors")
    with pytest.raises(ValueError, match="unet"):
        load(folder)
    folder = Path(shutil.copytree(weights, tmp_path / "other"))
    path = folder / "scheduler/scheduler_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "prediction_type": "v_prediction"}))
    with pytest.raises(ValueError, match="of another kind of model than SDXL-Turbo"):
        load(folder)


def test_timesteps_are_trailing() -> None:
    assert [trailing_timesteps(1000, steps) for steps in (1, 2, 4)] == [[999], [999, 499], [999, 749, 499, 249]]
    assert trailing_timesteps(1000, 3) == [999, 666, 332]


def test_the_sampler_finds_an_image_that_is_known() -> None:
    """With a perfect predictor of one image's noise every step count ends at the image."""
    sigmas = torch.linspace(0.03, 14.6, 1000, dtype=torch.float64)
    image = torch.linspace(-1, 1, 8).view(1, 8)

    def predict(scaled: Tensor, timestep: int) -> Tensor:
        sigma = float(sigmas[timestep])
        return (scaled * (sigma**2 + 1) ** 0.5 - image) / sigma

    noise = torch.randn(5, 1, 8, generator=torch.Generator().manual_seed(0))
    for steps in (1, 2, 4):
        assert torch.allclose(euler_ancestral(predict, lambda draw: noise[draw], sigmas, steps), image, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_it_agrees_with_the_published_pipeline(weights: Path, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """diffusers' own pipeline makes the same images of the same noise: prompts, time ids, scheduler and decoder."""
    from diffusers import StableDiffusionXLPipeline
    from diffusers.schedulers import scheduling_euler_ancestral_discrete as scheduling

    count, side = CHANNELS * (SIZE // 8) ** 2, SIZE // 8
    labels, seeds = torch.tensor([3, 7]), torch.tensor([11, 12])
    draws = [normal(seeds, count, 1 + draw * (count // 2)).view(2, CHANNELS, side, side) for draw in range(steps)]
    pipeline = StableDiffusionXLPipeline.from_pretrained(weights, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    fresh = iter([*draws[1:], torch.zeros_like(draws[0])])
    monkeypatch.setattr(scheduling, "randn_tensor", lambda *_, **__: next(fresh))
    told = pipeline(
        ["a photo of the digit 3", "a photo of the digit 7"],
        num_inference_steps=steps,
        guidance_scale=0.0,
        height=SIZE,
        width=SIZE,
        latents=draws[0],
        output_type="pt",
    )
    expected = (told.images * 255).round().int()
    assert (load(weights).generate(labels, seeds, steps).int() - expected).abs().max() <= 1


def test_what_can_be_compiled_is_what_is_called(weights: Path) -> None:
    assert all_are_called(load(weights), *orders(2), 1)
