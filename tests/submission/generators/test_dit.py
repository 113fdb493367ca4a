"""The generators on a DiT, with tiny random ones in the published layout."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.models.dit import LATENT, SCHEDULE, SIZE, write_dit, write_json
from evaluation.base.challenge import Challenge, get_challenge
from submission.classes.imagenet import imagenet_wnids
from submission.contract import seeded
from submission.contract.generator import LoadContext, get_generator
from submission.contract.job import image_seed
from submission.diffusion.dit import DiT, noise_and_variance
from submission.diffusion.latent_samplers import SOLVERS, sample
from submission.generators.dit import DiTGenerator
from submission.generators.dit_minmax import DiTMinMax
from tests.submission.dits import as_on_the_hub, cut, halved
from tests.submission.networks_called import all_are_called

TINY = get_challenge("tiny-imagenet")
CIFAR = get_challenge("cifar100")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dit(tmp_path_factory.mktemp("dit"))


def load(folder: Path, challenge: Challenge = TINY, precision: str = "fp32", **settings: str) -> DiTGenerator:
    return DiTGenerator.load(LoadContext(challenge, "cpu", folder, settings={"precision": precision, **settings}))


def orders(count: int) -> tuple[Tensor, Tensor]:
    labels = torch.arange(count) * 7 % TINY.classes
    return labels, torch.tensor([image_seed(0, int(label), i) for i, label in enumerate(labels)])


def test_the_registry_has_them() -> None:
    assert get_generator("dit") is DiTGenerator
    assert get_generator("dit-minmax") is DiTMinMax
    for maker in (DiTGenerator, DiTMinMax):
        assert maker.info.default_steps == 10 and "NC" in maker.info.licence and "DSR" in maker.info.summary


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("guidance", ["1", "4"])
def test_an_image_is_the_same_at_every_batch_size(folder: Path, solver: str, guidance: str) -> None:
    generator = load(folder, solver=solver, guidance=guidance)
    labels, seeds = orders(7)
    together = generator.generate(labels, seeds, 3)
    assert together.shape == (7, 3, SIZE, SIZE) and together.dtype == torch.uint8
    alone = torch.cat([generator.generate(labels[i : i + 1], seeds[i : i + 1], 3) for i in range(7)])
    assert (together.int() - alone.int()).abs().max() <= 1
    assert together.float().std() > 10


@pytest.mark.parametrize("solver", SOLVERS)
def test_seed_label_and_steps_make_the_image(folder: Path, solver: str) -> None:
    generator = load(folder, solver=solver)
    labels, seeds = orders(4)
    images = generator.generate(labels, seeds, 3)
    assert torch.equal(generator.generate(labels, seeds, 3), images)
    for other in (
        generator.generate(labels, seeds + 1, 3),
        generator.generate((labels + 1) % 200, seeds, 3),
        generator.generate(labels, seeds, 4),
    ):
        assert all((a != b).any() for a, b in zip(images, other, strict=True))


def watch_labels(generator: DiTGenerator) -> list[list[int]]:
    """The rows of the first block's label embedding that are asked for from now on, call by call."""
    seen: list[list[int]] = []
    table = generator.dit.transformer.transformer_blocks[0].norm1.emb.class_embedder.embedding_table
    table.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].tolist()))
    return seen


def test_label_i_reaches_the_row_of_its_wordnet_id(folder: Path) -> None:
    generator = load(folder)
    seen = watch_labels(generator)
    generator.generate(torch.arange(200), torch.arange(200), 1)
    assert [imagenet_wnids()[row] for row in seen[0]] == list(TINY.wnids)


def test_without_guidance_no_batch_is_doubled_and_with_it_the_null_label_is_the_last(folder: Path) -> None:
    labels, seeds = orders(3)
    plain, strong = load(folder), load(folder, guidance="4")
    plain_rows, strong_rows = watch_labels(plain), watch_labels(strong)
    images = plain.generate(labels, seeds, 2), strong.generate(labels, seeds, 2)
    assert {len(rows) for rows in plain_rows} == {3}
    assert all(rows[:3] == plain_rows[0] and rows[3:] == [1000] * 3 for rows in strong_rows)
    assert (images[0] != images[1]).any()
    zero = load(folder, guidance="0")
    assert torch.equal(zero.generate(labels, seeds, 2), zero.generate((labels + 1) % 200, seeds, 2))


def test_the_learned_variance_is_used_as_diffusers_uses_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against DDPMScheduler with `learned_range`, whose noise is replaced by ours."""
    from diffusers import DDPMScheduler
    from diffusers.schedulers import scheduling_ddpm

    dit = DiT.load(folder, TINY, "cpu", torch.float32)
    noise = partial(seeded.noise, torch.arange(3), LATENT)
    ids = torch.tensor([5, 6, 7])

    def predict(z: Tensor, t: int) -> tuple[Tensor, Tensor | None]:
        with torch.no_grad():
            return noise_and_variance(dit.transformer, z, torch.full((3,), t), ids)

    draws = iter(range(1, 100))
    monkeypatch.setattr(scheduling_ddpm, "randn_tensor", lambda *_, **__: noise(next(draws)))
    scheduler = DDPMScheduler.from_config(SCHEDULE, variance_type="learned_range")
    scheduler.set_timesteps(6)
    expected = noise(0)
    for t in scheduler.timesteps:
        both = torch.cat([part for part in predict(expected, int(t)) if part is not None], dim=1)
        assert both.shape[1] == 8
        expected = scheduler.step(both, t, expected).prev_sample
    assert torch.allclose(sample(predict, SCHEDULE, "ancestral", 6, noise), expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("guidance", ["1", "4"])
def test_images_are_those_of_diffusers_pipeline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, solver: str, guidance: str
) -> None:
    """For the same noise; the pipeline knows no learned variance, so the network has none."""
    import diffusers
    from diffusers.pipelines.dit import pipeline_dit
    from diffusers.schedulers import scheduling_ddpm

    folder = write_dit(tmp_path, learns_variance=False)
    labels, seeds = orders(4)
    made = load(folder, solver=solver, guidance=guidance).generate(labels, seeds, 5)
    noise = partial(seeded.noise, seeds, LATENT)
    draws = iter(range(1, 100))
    doubled = 1 if guidance == "1" else 2
    monkeypatch.setattr(pipeline_dit, "randn_tensor", lambda *_, **__: noise(0))
    monkeypatch.setattr(scheduling_ddpm, "randn_tensor", lambda *_, **__: noise(next(draws)).repeat(doubled, 1, 1, 1))
    pipeline = diffusers.DiTPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = getattr(diffusers, SOLVERS[solver]).from_config(pipeline.scheduler.config)
    rows = [imagenet_wnids().index(TINY.wnids[label]) for label in labels.tolist()]
    expected = pipeline(rows, guidance_scale=float(guidance), num_inference_steps=5, output_type="pt").images
    assert (made.float() - (expected * 255).round()).abs().max() <= 1
    assert made.float().std() > 10


def test_the_autoencoder_is_given_what_it_was_trained_on(folder: Path) -> None:
    """[-1, 1] and nothing else, whatever the data set's mean; latents are scaled both ways."""
    dit = DiT.load(folder, TINY, "cpu", torch.float32)
    seen: list[Tensor] = []
    dit.vae.encoder.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 3, SIZE, SIZE)
    z = dit.encode(images)
    assert z.shape == (3, *LATENT) and z.dtype == torch.float32
    assert torch.allclose(seen[0][:, 0, 0, 0], torch.tensor([-1.0, -0.6, 1.0]))
    assert torch.allclose(z, dit.vae.encode(images / 127.5 - 1).latent_dist.mean * 0.18215)
    expected = dit.vae.decode(z / 0.18215).sample
    assert (dit.decode(z).float() - ((expected + 1) * 127.5).clamp(0, 255)).abs().max() <= 0.51
    assert dit.encode(torch.zeros(1, 3, 5, 5, dtype=torch.uint8)).shape == (1, *LATENT)


def test_it_is_a_noise_model(folder: Path) -> None:
    dit = DiT.load(folder, TINY, "cpu", torch.float32)
    assert dit.size == SIZE and dit.null_label == 200
    assert dit.gammas_T.shape == (1000,) and (dit.gammas_T.diff() < 0).all()
    assert dit.gammas_T[0] > 0.99 and dit.gammas_T[-1] < 0.01
    z, timesteps = torch.randn(2, *LATENT), torch.tensor([3, 700])
    known, unknown = dit.predict(z, timesteps, torch.tensor([0, 9])), dit.predict(z, timesteps, torch.tensor([200] * 2))
    assert known.shape == z.shape and known.dtype == torch.float32 and (known != unknown).any()


def test_the_published_files_load(folder: Path, tmp_path: Path) -> None:
    old, half = as_on_the_hub(write_dit(tmp_path / "old")), halved(write_dit(tmp_path / "half"))
    labels, seeds = orders(4)
    expected = load(folder).generate(labels, seeds, 3)
    for other in (old, half):
        assert DiTGenerator.find_weights(TINY, str(other)) == other
    assert torch.equal(load(old).generate(labels, seeds, 3), expected)
    assert (load(half).generate(labels, seeds, 3).int() - expected.int()).abs().max() <= 3
    assert (load(half, precision="fp16").generate(labels, seeds, 3).int() - expected.int()).abs().max() <= 16


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_lower_precisions_give_about_the_same_images(folder: Path, precision: str) -> None:
    labels, seeds = orders(8)
    images = load(folder, precision=precision).generate(labels, seeds, 4).float()
    assert (images - load(folder).generate(labels, seeds, 4).float()).abs().mean() < 3


def test_an_embedding_of_the_challenges_own_classes_is_taken_as_it_is(tmp_path: Path) -> None:
    folder = write_dit(tmp_path, classes=100, names=CIFAR.class_names)
    assert DiTGenerator.find_weights(CIFAR, str(folder)) == folder
    generator = load(folder, CIFAR, guidance="2")
    seen = watch_labels(generator)
    generator.generate(torch.arange(100), torch.arange(100), 1)
    assert seen and all(rows == [*range(100), *[100] * 100] for rows in seen)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"solver": "heun"}, r"solver must be one of dpmsolver\+\+, unipc, ddim, ancestral, not 'heun'"),
        ({"guidance": "a lot"}, "guidance must be a number from 0 to 20"),
        ({"precision": "int8"}, "precision must be one of fp32, bf16, fp16"),
        ({"colour": "red"}, "generator 'dit' has no setting 'colour'"),
    ],
)
def test_settings_that_do_not_fit_are_told(settings: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        DiTGenerator.resolve_settings(settings)


def test_more_steps_than_there_are_is_told(folder: Path) -> None:
    with pytest.raises(ValueError, match="the model has 1000 timesteps"):
        load(folder).generate(*orders(1), 1001)


def test_classes_that_it_does_not_know_are_told(folder: Path, tmp_path: Path) -> None:
    training = r"python -m submission\.training minmax --dataset cifar100"
    for check in (lambda: DiTGenerator.find_weights(CIFAR, str(folder)), lambda: DiTGenerator.check_weights(CIFAR)):
        with pytest.raises(ValueError, match=training):
            check()
    with pytest.raises(ValueError, match=training):
        DiTGenerator.find_weights(CIFAR, None)  # before anything is fetched
    other_order = [*CIFAR.class_names[1:], CIFAR.class_names[0]]
    for classes, names in ((10, ()), (100, other_order)):
        wrong = write_dit(tmp_path / str(classes), classes=classes, names=names)
        with pytest.raises(ValueError, match=f"knows {classes} classes that are not those of 'cifar100'"):
            DiTGenerator.find_weights(CIFAR, str(wrong))


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("transformer/config.json", "holds no transformer/config.json"),
        (
            "transformer/diffusion_pytorch_model.safetensors",
            "holds no transformer/diffusion_pytorch_model.safetensors or",
        ),
        ("vae/diffusion_pytorch_model.safetensors", "holds no vae/diffusion_pytorch_model.safe"),
        ("scheduler/scheduler_config.json", "holds no scheduler/scheduler_config.json"),
    ],
)
def test_a_missing_file_is_told(tmp_path: Path, file: str, sentence: str) -> None:
    folder = write_dit(tmp_path)
    (folder / file).unlink()
    with pytest.raises(ValueError, match=sentence):
        DiTGenerator.find_weights(TINY, str(folder))


@pytest.mark.parametrize("part", ["transformer", "vae"])
@pytest.mark.parametrize("old", [True, False])
def test_half_a_download_is_told(tmp_path: Path, part: str, old: bool) -> None:
    folder = as_on_the_hub(write_dit(tmp_path)) if old else write_dit(tmp_path)
    (file,) = (folder / part).glob("diffusion_pytorch_model.*")
    cut(file)
    with pytest.raises(ValueError, match=f"{file.name} is damaged or half a download"):
        DiTGenerator.find_weights(TINY, str(folder))


def test_other_models_are_told(tmp_path: Path) -> None:
    folder = write_dit(tmp_path)
    write_json(folder / "scheduler" / "scheduler_config.json", {**SCHEDULE, "prediction_type": "v_prediction"})
    with pytest.raises(ValueError, match="is for another kind of model than a DiT"):
        DiTGenerator.find_weights(TINY, str(folder))
    (folder / "transformer" / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config\.json is damaged"):
        DiTGenerator.find_weights(TINY, str(folder))
    write_json(folder / "transformer" / "config.json", {"sample_size": 8})
    with pytest.raises(ValueError, match="which is no DiT"):
        DiTGenerator.find_weights(TINY, str(folder))


def test_minmax_weights_come_from_training(folder: Path) -> None:
    for source in (None, "someone/dit"):
        with pytest.raises(ValueError, match=r"python -m submission\.training minmax --dataset tiny-imagenet"):
            DiTMinMax.find_weights(TINY, source)
    with pytest.raises(ValueError, match=r"holds no minmax\.json"):
        DiTMinMax.find_weights(TINY, str(folder))


def test_what_can_be_compiled_is_what_is_called(folder: Path) -> None:
    assert all_are_called(load(folder), *orders(2), 2)
