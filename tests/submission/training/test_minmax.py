"""Min-max training: the equations, the memories, what is trained, and that it goes on from any interruption."""

from __future__ import annotations

import json
import math
import os
import signal
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cosine_similarity

from benchmarks.models.dit import LATENT, write_dit
from evaluation.base.challenge import get_challenge
from evaluation.data.datasets import load_split
from submission.contract.generator import LoadContext
from submission.diffusion.dit import DiT
from submission.generators.dit_minmax import DiTMinMax
from submission.training.__main__ import main
from submission.training.common import session
from submission.training.common.checkpoint import load_checkpoint
from submission.training.minmax import command
from submission.training.minmax.latents import Latents, encode_once
from submission.training.minmax.losses import (
    Memory,
    diffusion_loss,
    diversity_loss,
    greatest_similarity,
    least_similarity,
    predicted_features,
    representativeness_loss,
    training_loss,
)
from submission.training.minmax.model import choose_parameters, load_for, plain_copy, relabel, tie_embeddings
from submission.training.minmax.training import PRESETS, MinMaxTraining, noised

DIGITS = get_challenge("digits")
RECIPE = replace(PRESETS["paper"], memory=4, rate=3e-3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dit(tmp_path_factory.mktemp("dit"))


@pytest.fixture(scope="module")
def latents(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Latents:
    images = load_split(DIGITS, "train", None).take(slice(0, 200))
    return encode_once(load_for(DIGITS, folder, "cpu"), images, folder / "vae", tmp_path_factory.mktemp("latents"))


def build(folder: Path, data: Latents, **changes: object) -> MinMaxTraining:
    dit = load_for(DIGITS, folder, "cpu")
    return MinMaxTraining(dit.transformer, dit.gammas_T, replace(RECIPE, **changes), data, seed=0)  # type: ignore[arg-type]


def test_the_presets_are_as_published() -> None:
    paper, cvpr = PRESETS["paper"], PRESETS["cvpr"]
    assert (paper.lambda_r, paper.lambda_d, paper.rate, paper.parameters) == (1e-3, 2e-3, 1e-4, "full")
    assert (cvpr.lambda_r, cvpr.lambda_d, cvpr.rate, cvpr.parameters) == (2e-3, 8e-3, 1e-3, "difffit")
    assert {(recipe.memory, recipe.epochs, recipe.batch) for recipe in PRESETS.values()} == {(64, 8, 8)}


def test_the_equations() -> None:
    """Against sums over pairs, one at a time."""
    draw = torch.Generator().manual_seed(0)
    z, noise, predicted = torch.randn(3, 2, 4, 3, 3, generator=draw).unbind(0)
    real, generated = torch.randn(2, 2, 5, 36, generator=draw).unbind(0)
    filled = torch.tensor([[True] * 5, [True, True, False, False, False]])
    features = predicted_features(z, predicted)
    assert torch.equal(features[1], (z[1] - predicted[1]).flatten())

    def similarities(memory: Tensor, i: int) -> list[float]:
        return [float(cosine_similarity(features[i], memory[i, m], dim=0)) for m in range(5) if filled[i, m]]

    least = sum(min(similarities(real, i)) for i in range(2)) / 2
    greatest = sum(max(similarities(generated, i)) for i in range(2)) / 2
    assert float(least_similarity(features, real, filled)) == pytest.approx(least, abs=1e-6)
    assert float(greatest_similarity(features, generated, filled)) == pytest.approx(greatest, abs=1e-6)
    diffusion = diffusion_loss(noise, predicted)
    assert float(diffusion) == pytest.approx(float((noise - predicted).square().sum()) / noise.numel())
    loss = training_loss(diffusion, torch.tensor(least), torch.tensor(greatest), 0.25, 0.5)
    assert float(loss) == pytest.approx(float(diffusion) + 0.25 * (1 - least) + 0.5 * greatest)


def test_an_empty_memory_says_nothing_and_spoils_no_gradient() -> None:
    features = torch.randn(2, 6).requires_grad_()
    memory, filled = torch.zeros(2, 3, 6), torch.tensor([[False] * 3, [True, False, False]])
    memory[1, 0] = torch.randn(6)
    for term in (least_similarity, greatest_similarity):
        assert term(features, memory, torch.zeros(2, 3, dtype=torch.bool)).item() == 0
        value = term(features, memory, filled)
        assert value.item() == pytest.approx(
            float(cosine_similarity(features[1].detach(), memory[1, 0], dim=0)), abs=1e-6
        )
        (gradient,) = torch.autograd.grad(value, features)
        assert gradient.isfinite().all() and (gradient[0] == 0).all() and (gradient[1] != 0).any()


@pytest.mark.parametrize("loss", ["representativeness", "diversity"])
def test_a_step_down_a_loss_moves_the_similarity_the_right_way(loss: str) -> None:
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(3, 20, generator=draw, requires_grad=True)
    memory, filled = torch.randn(3, 5, 20, generator=draw), torch.ones(3, 5, dtype=torch.bool)
    similarity = least_similarity if loss == "representativeness" else greatest_similarity
    minimised = representativeness_loss if loss == "representativeness" else diversity_loss
    before = similarity(features, memory, filled)
    (gradient,) = torch.autograd.grad(minimised(before), features)
    after = similarity(features - 0.5 * gradient, memory, filled)
    assert after > before if loss == "representativeness" else after < before


@given(
    pushes=st.lists(st.lists(st.integers(0, 2), max_size=7), max_size=8),
    slots=st.integers(1, 4),
    of=st.sampled_from(["class", "batches"]),
)
def test_a_memory_holds_the_last_directions_of_its_row(pushes: list[list[int]], slots: int, of: str) -> None:
    memory = Memory(of, 3, slots, 5, "cpu")  # type: ignore[arg-type]
    rows: dict[int, deque[Tensor]] = {row: deque(maxlen=slots) for row in range(3)}
    draw = torch.Generator().manual_seed(len(pushes))
    for labels in pushes:
        features = torch.randn(len(labels), 5, generator=draw)
        memory.push(labels, 7 * features)
        for label, feature in zip(labels, features, strict=True):
            rows[label if of == "class" else 0].append(feature / feature.norm())
    other = Memory(of, 3, slots, 5, "cpu")  # type: ignore[arg-type]
    other.restore(memory.state())
    for held in (memory, other):
        kept, filled = held.of([0, 1, 2])
        assert kept.shape == (3, slots, 5) and filled.shape == (3, slots)
        for label in range(3):
            expected = rows[label if of == "class" else 0]
            found = kept[label][filled[label]]
            assert len(found) == len(expected)
            if expected:  # each is there, but for what 16 bits round
                assert torch.cdist(torch.stack(list(expected)), found).amin(1).max() < 2e-3


def test_new_classes_begin_as_no_class_and_the_null_label_stays_last(folder: Path) -> None:
    old = DiT.load(folder, get_challenge("tiny-imagenet"), "cpu", torch.float32)
    z, t = torch.randn(2, *LATENT), torch.tensor([10, 900])
    without_class = old.predict(z, t, torch.tensor([old.null_label] * 2))
    new = load_for(DIGITS, folder, "cpu")
    assert new.null_label == 10 and new.transformer.config.num_embeds_ada_norm == 10
    for label in (0, 9, 10):
        assert torch.allclose(new.predict(z, t, torch.tensor([label] * 2)), without_class, atol=1e-6)


def test_classes_that_it_knows_keep_their_rows(folder: Path) -> None:
    tiny = get_challenge("tiny-imagenet")
    old, new = DiT.load(folder, tiny, "cpu", torch.float32), load_for(tiny, folder, "cpu")
    assert new.transformer.transformer_blocks[0].norm1.emb.class_embedder.embedding_table.weight.shape[0] == 201
    z, t, labels = torch.randn(4, *LATENT), torch.tensor([10] * 4), torch.tensor([0, 77, 199, 200])
    assert torch.allclose(new.predict(z, t, labels), old.predict(z, t, labels), atol=1e-6)


def test_equal_embeddings_are_trained_as_one_and_others_are_not(folder: Path) -> None:
    transformer = DiT.load(folder, get_challenge("tiny-imagenet"), "cpu", torch.float32).transformer
    blocks = transformer.transformer_blocks
    with torch.no_grad():
        blocks[1].norm1.emb.class_embedder.embedding_table.weight[5] += 1
    tie_embeddings(transformer)
    assert blocks[0].norm1.emb is not blocks[1].norm1.emb
    blocks[1].norm1.emb.load_state_dict(blocks[0].norm1.emb.state_dict())
    tie_embeddings(transformer)
    assert blocks[0].norm1.emb is blocks[1].norm1.emb
    copied = plain_copy(transformer, {})
    assert copied.transformer_blocks[0].norm1.emb is not copied.transformer_blocks[1].norm1.emb


def test_what_is_trained(folder: Path) -> None:
    def trained(kind: str) -> set[str]:
        transformer = load_for(DIGITS, folder, "cpu").transformer
        return set(choose_parameters(transformer, kind, rank=2))  # type: ignore[arg-type]

    embedding = "transformer_blocks.0.norm1.emb.class_embedder.embedding_table.weight"
    everything, difffit, lora = trained("full"), trained("difffit"), trained("lora")
    assert embedding in everything and embedding in difffit and embedding in lora
    assert {name for name in everything if name.endswith(".bias")} | {embedding} == difffit
    matrices = {name for name in lora if name.endswith(("a_RI", "b_OR"))}
    assert len(matrices) == 2 * 2 * (4 + 2) and matrices | {embedding} == lora


@pytest.mark.parametrize("parameters", ["full", "difffit", "lora"])
def test_training_changes_what_it_should_and_the_copy_is_the_same_network(
    folder: Path, latents: Latents, parameters: str
) -> None:
    training = build(folder, latents, parameters=parameters)
    z, t, labels = torch.randn(2, *LATENT), torch.tensor([10, 500]), torch.tensor([3, 10])

    def told(transformer: Callable[..., object]) -> Tensor:
        with torch.no_grad():
            return transformer(z, timestep=t, class_labels=labels).sample  # type: ignore[attr-defined]

    before = told(training.transformer)
    for _ in range(5):
        training.step()
    now = told(training.transformer)
    assert (now - before).abs().max() > 1e-3
    values = {name: parameter.detach() for name, parameter in training.parameters.items()}
    assert torch.allclose(told(plain_copy(training.transformer, values)), now, atol=1e-5)
    assert (told(training.averaged()) - now).abs().max() > 1e-5
    assert torch.equal(told(training.transformer), now)


def test_dropped_labels_become_the_last_row_and_never_class_0(folder: Path, latents: Latents) -> None:
    """In all blocks alike: diffusers' own dropping draws anew in each of them."""
    only_nines = Latents(latents.latents_NCSS, [9] * len(latents))
    training = build(folder, only_nines, label_dropout=0.5, batch=64)
    seen: list[list[int]] = []
    table = training.transformer.transformer_blocks[0].norm1.emb.class_embedder.embedding_table
    table.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].tolist()))
    training.step()
    assert all(rows == seen[0] for rows in seen)
    assert set(seen[0]) == {9, 10} and 16 < seen[0].count(10) < 48


def test_all_labels_dropped_is_no_error(folder: Path, latents: Latents) -> None:
    training = build(folder, latents, label_dropout=1.0)
    losses = [float(training.step()) for _ in range(3)]
    assert all(math.isfinite(loss) for loss in losses)
    assert training.measured()["similarity_real"] == 0


def test_noise_is_mixed_in_as_the_schedule_says() -> None:
    z0, noise = torch.randn(2, 100, 4, 8, 8).unbind(0)
    gamma = torch.linspace(0, 1, 100)
    z = noised(z0, noise, gamma)
    assert torch.equal(z[0], noise[0]) and torch.equal(z[-1], z0[-1])
    assert float(z.var()) == pytest.approx(1, abs=0.03)


def test_training_lowers_the_loss(folder: Path, latents: Latents) -> None:
    training = build(folder, latents, batch=32)
    losses = torch.stack([training.step() for _ in range(60)])
    assert losses[-10:].mean() < 0.9 * losses[:5].mean()


def test_an_epoch_shows_each_image_once(folder: Path, latents: Latents) -> None:
    training = build(folder, latents)
    first, second = ([training._at(epoch * 200 + i) for i in range(200)] for epoch in range(2))
    assert sorted(first) == sorted(second) == list(range(200)) and first != second
    assert training.total == 8 * 200


@pytest.mark.parametrize("parameters", ["full", "lora"])
def test_it_goes_on_from_its_state_as_if_nothing_had_happened(
    folder: Path, latents: Latents, parameters: str, tmp_path: Path
) -> None:
    straight = build(folder, latents, parameters=parameters)
    for _ in range(6):
        straight.step()
    broken = build(folder, latents, parameters=parameters)
    for _ in range(3):
        broken.step()
    torch.save(broken.state(), tmp_path / "state.pt")
    torch.rand(17)
    resumed = build(folder, latents, parameters=parameters)
    resumed.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    for _ in range(3):
        resumed.step()
    for name, parameter in straight.parameters.items():
        assert torch.equal(resumed.parameters[name], parameter)
        assert torch.equal(resumed.averages[name], straight.averages[name])
    assert torch.equal(resumed.generated.of([4])[0], straight.generated.of([4])[0])


def test_latents_are_encoded_once(folder: Path, tmp_path: Path) -> None:
    images = load_split(DIGITS, "train", None).take(slice(0, 20))
    dit = load_for(DIGITS, folder, "cpu")
    calls: list[int] = []
    dit.vae.encoder.register_forward_hook(lambda module, inputs, output: calls.append(1))
    first = encode_once(dit, images, folder / "vae", tmp_path)
    assert first.latents_NCSS.shape == (20, *LATENT) and first.labels == images.labels.tolist()
    assert torch.allclose(first.latents_NCSS.float(), dit.encode(torch.from_numpy(images.images)), atol=1e-2)
    before = len(calls)
    again = encode_once(dit, images, folder / "vae", tmp_path)
    assert len(calls) == before and torch.equal(again.latents_NCSS, first.latents_NCSS)
    encode_once(dit, images.take(slice(0, 19)), folder / "vae", tmp_path)
    assert len(calls) > before and len(list(tmp_path.iterdir())) == 2


OPTIONS = ("minmax", "--dataset", "digits", "--memory", "8", "--device", "cpu", "--weights")


def test_the_command_writes_a_model_for_the_generator(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(session, "LOG_EVERY_S", 0.0)
    out = tmp_path / "out"
    options = [*OPTIONS, str(folder), "--preset", "cvpr", "--batch", "16", "--out", str(out)]
    assert main([*options, "--epochs", "0.05"]) == 0
    model = Path(capsys.readouterr().out.strip())
    assert model == out / "model" and list((out / "samples").glob("*.png"))
    lines = [json.loads(line) for line in (out / "loss.jsonl").read_text().splitlines()]
    assert set(lines[0]) >= {"images", "loss", "diffusion_loss", "similarity_real", "similarity_generated", "rate"}
    told = json.loads((model / "minmax.json").read_text())
    assert told["challenge"] == "digits" and told["images_seen"] == 64 and told["recipe"]["lambda_d"] == 8e-3

    assert DiTMinMax.find_weights(DIGITS, str(model)) == model
    generator = DiTMinMax.load(LoadContext(DIGITS, "cpu", model, settings={"precision": "fp32"}))
    images = generator.generate(torch.arange(10), torch.arange(10), 2)
    assert images.shape == (10, 3, 16, 16)
    with pytest.raises(ValueError, match="knows 10 classes that are not those of 'cifar100'"):
        DiTMinMax.find_weights(get_challenge("cifar100"), str(model))

    assert main([*options, "--resume", "--epochs", "0.1"]) == 0
    assert json.loads((model / "minmax.json").read_text())["images_seen"] == 128
    assert load_checkpoint(out / "checkpoint.pt", "cpu")["state"]["images"] == 128
    assert not list(out.glob(".*part"))


def test_what_it_writes_is_a_pipeline_of_diffusers(folder: Path, tmp_path: Path) -> None:
    from diffusers import DiTPipeline

    assert main([*OPTIONS, str(folder), "--epochs", "0.01", "--parameters", "lora", "--out", str(tmp_path)]) == 0
    pipeline = DiTPipeline.from_pretrained(tmp_path / "model", dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline.labels == {str(digit): digit for digit in range(10)}
    assert pipeline([3], guidance_scale=1.0, num_inference_steps=2, output_type="np").images.shape == (1, 16, 16, 3)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_checkpoint(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    straight = tmp_path / "straight"
    options = [*OPTIONS, str(folder), "--epochs", "0.05"]
    assert main([*options, "--out", str(straight)]) == 0
    step = MinMaxTraining.step

    def step_then_signal(self: MinMaxTraining) -> Tensor:
        loss = step(self)
        if self.images == 16:
            os.kill(os.getpid(), number)
        return loss

    monkeypatch.setattr(MinMaxTraining, "step", step_then_signal)
    out = tmp_path / "out"
    assert main([*options, "--out", str(out)]) == 130
    assert load_checkpoint(out / "checkpoint.pt", "cpu")["state"]["images"] == 16
    assert not (out / "model").exists()
    monkeypatch.setattr(MinMaxTraining, "step", step)
    assert main([*options, "--out", str(out), "--resume"]) == 0
    weights = "model/transformer/diffusion_pytorch_model.safetensors"
    assert (out / weights).read_bytes() == (straight / weights).read_bytes()


def test_ctrl_c_while_encoding_is_no_traceback(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "encode_once", interrupted)
    assert main([*OPTIONS, str(folder), "--out", str(tmp_path)]) == 130


def test_misuse_is_one_sentence(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told(*options: str) -> str:
        assert main(["minmax", "--dataset", "digits", "--out", str(tmp_path), *options]) == 2
        return capsys.readouterr().err

    assert "there is no folder" in told("--weights", str(tmp_path / "none"))
    assert "holds no scheduler/scheduler_config.json" in told("--weights", str(tmp_path))
    assert "--batch must be above 0" in told("--batch", "0")
    assert "--lambda-r must be at least 0" in told("--lambda-r", "-1")
    assert "no checkpoint" in told("--resume")
    assert main([*OPTIONS, str(folder), "--out", str(tmp_path), "--epochs", "0.01"]) == 0
    capsys.readouterr()
    assert "add --resume" in told()
    assert "--rate 0.0001; it cannot change on the way" in told("--resume", "--rate", "1")
    assert "--lambda-r 0.001; it cannot change on the way" in told("--resume", "--preset", "cvpr")
    assert "--epochs must be above 0" in told("--resume", "--epochs", "0")


def test_relabelling_copies_rows_in_order(folder: Path) -> None:
    transformer = DiT.load(folder, get_challenge("tiny-imagenet"), "cpu", torch.float32).transformer
    old = transformer.transformer_blocks[0].norm1.emb.class_embedder.embedding_table.weight.clone()
    relabel(transformer, (7, 3), 2)
    new = transformer.transformer_blocks[1].norm1.emb.class_embedder.embedding_table.weight
    assert np.array_equal(new.detach().numpy(), old[[7, 3, 1000]].detach().numpy())
