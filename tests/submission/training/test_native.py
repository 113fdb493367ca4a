"""Training: it learns, and it goes on from any interruption as if there had been none."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from evaluation.base.challenge import get_challenge
from evaluation.base.images import ImageSet
from evaluation.data.datasets import load_split
from submission.contract.generator import LoadContext
from submission.diffusion.networks import unet
from submission.diffusion.networks.denoiser import AUGMENT_CONDITION
from submission.diffusion.networks.unet import PRESETS, UNet, UNetConfig
from submission.generators.native import Native
from submission.training.__main__ import main
from submission.training.common import session
from submission.training.common.checkpoint import load_checkpoint, save_checkpoint
from submission.training.common.held_out import split_held_out
from submission.training.common.preview import quick_accuracy
from submission.training.common.session import Session
from submission.training.native import model_selection
from submission.training.native.diffusion import DeviceData, DiffusionTraining, flip_half, warp
from submission.training.native.model_selection import Candidate, energy_distance, fewest_steps
from submission.training.native.recipes import RECIPES
from tests.forked import forked

DIGITS = get_challenge("digits")
TINY = UNetConfig(size=32, patch=4, widths=(16, 24), blocks=1, attention=(4,))
RECIPE = replace(RECIPES["digits"], batch=32, warmup=320)


def digits() -> ImageSet:
    return load_split(DIGITS, "train", None)


def tiny_training(seed: int = 0) -> DiffusionTraining:
    torch.manual_seed(seed)
    network = UNet(TINY, 10, AUGMENT_CONDITION, dropout=0.1)
    return DiffusionTraining(network, RECIPE, DeviceData.put(digits(), "cpu"), seed, torch.float32)


def test_every_preset_has_a_recipe() -> None:
    assert set(RECIPES) == set(PRESETS)


def test_rate_warms_up_and_falls() -> None:
    recipe = RECIPES["digits"]
    assert recipe.rate_at(recipe.warmup // 2) == pytest.approx(recipe.rate / 2)
    assert recipe.rate_at(recipe.hold) == recipe.rate
    assert recipe.rate_at(4 * recipe.hold) == pytest.approx(recipe.rate / 2)


def test_training_lowers_the_loss() -> None:
    training = tiny_training()
    losses = torch.stack([training.step() for _ in range(40)])
    assert losses[-10:].mean() < 0.75 * losses[:5].mean()
    assert training.images == 40 * RECIPE.batch


def test_the_averages_follow_the_weights_the_shorter_the_closer() -> None:
    training = tiny_training()
    for _ in range(40):
        training.step()

    def distance(average: list[torch.Tensor]) -> float:
        return sum(float((a - p.detach()).square().sum()) for a, p in zip(average, training.parameters, strict=True))

    assert 0 < distance(training.averages[0]) < distance(training.averages[1]) < distance(training.averages[2])


def test_state_goes_through_a_file_and_training_goes_on_bit_equal(tmp_path: Path) -> None:
    straight = tiny_training()
    for _ in range(6):
        straight.step()
    broken = tiny_training()
    for _ in range(3):
        broken.step()
    save_checkpoint(tmp_path / "checkpoint.pt", broken.state())
    torch.rand(17)  # whatever else uses the random numbers of the process has no say
    resumed = tiny_training(seed=0)
    resumed.restore(load_checkpoint(tmp_path / "checkpoint.pt", "cpu"))
    for _ in range(3):
        resumed.step()
    assert_same(resumed.state(), straight.state())


def assert_same(a: object, b: object) -> None:
    """Equal to the last bit, through lists and dicts."""
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    else:
        assert a == b


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command with a network and a choice of samplers small enough for a test, and a checkpoint at every step."""
    monkeypatch.setitem(unet.PRESETS, "digits", ("digits", TINY))
    monkeypatch.setattr(model_selection, "CANDIDATES", (("dpm2m", 2), ("dpm2m", 4)))
    monkeypatch.setattr(session, "SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(session, "LOG_EVERY_S", 0.0)


def small_and_slow(folder: Path) -> None:
    """The same in another process, which is slowed down so that it can be killed on the way."""
    unet.PRESETS["digits"] = ("digits", TINY)
    session.SAVE_EVERY_S = session.LOG_EVERY_S = 0.0
    step = DiffusionTraining.step

    def slow(self: DiffusionTraining) -> torch.Tensor:
        time.sleep(0.1)
        return step(self)

    DiffusionTraining.step = slow  # type: ignore[method-assign]


def images_in(checkpoint: Path) -> int:
    return int(load_checkpoint(checkpoint, "cpu")["state"]["images"]) if checkpoint.exists() else 0


def test_a_killed_training_goes_on_as_if_nothing_had_happened(
    small: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    total = 16 * 24
    options = ["native", "--dataset", "digits", "--batch", "16", "--images", str(total), "--out"]
    assert main([*options, str(tmp_path / "straight")]) == 0
    weights = Path(capsys.readouterr().out.strip())

    out, checkpoint = tmp_path / "killed", tmp_path / "killed" / "checkpoint.pt"
    child = forked(
        "submission.training",
        [*options, str(out)],
        folder=tmp_path,
        environment=os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())},
        output=tmp_path / "printed.txt",
        plant=small_and_slow,
    )
    until = time.monotonic() + 120
    while images_in(checkpoint) < 5 * 16:
        assert child.is_alive()
        assert time.monotonic() < until
        time.sleep(0.02)
    child.kill()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert 5 * 16 <= images_in(checkpoint) < total
    assert not (out / weights.name).exists()

    assert main([*options, str(out), "--resume"]) == 0
    assert_same(load_checkpoint(checkpoint, "cpu"), load_checkpoint(tmp_path / "straight" / "checkpoint.pt", "cpu"))
    assert weights.read_bytes() == (out / weights.name).read_bytes()
    logged = [json.loads(line)["images"] for line in (out / "loss.jsonl").read_text().splitlines()]
    assert logged == list(range(16, total + 1, 16))
    assert list((out / "samples").glob("*.png"))


def test_training_goes_on_from_weights(small: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["native", "--dataset", "digits", "--batch", "16"]
    assert main([*options, "--images", "64", "--out", str(tmp_path / "first")]) == 0
    weights = Path(capsys.readouterr().out.strip())
    native = Native.load(LoadContext(DIGITS, "cpu", weights))
    assert Native.default_steps(weights) in (2, 4)
    assert native.generate(torch.arange(10), torch.arange(10), 2).shape == (10, 3, 32, 32)

    further = tmp_path / "further"
    assert main([*options, "--from", str(weights), "--images", "128", "--out", str(further)]) == 0
    assert "64 of 128 images seen" in capsys.readouterr().err
    assert images_in(further / "checkpoint.pt") == 128
    assert json.loads((further / "loss.jsonl").read_text().splitlines()[0])["images"] == 80


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_session_with_a_checkpoint(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: signal.Signals
) -> None:
    monkeypatch.setattr(session, "PREVIEW_EVERY_S", 0.0)
    training, saved = tiny_training(), []
    before = signal.getsignal(number)
    run = Session(
        training,
        tmp_path / "loss.jsonl",
        save=lambda: saved.append(training.images),
        preview=lambda: os.kill(os.getpid(), number),
    )
    assert not run.run()
    assert saved[-1] == training.images < RECIPE.images
    assert signal.getsignal(number) is before


def test_a_session_ends_when_its_time_is_up(tmp_path: Path) -> None:
    training = tiny_training()
    assert Session(training, tmp_path / "loss.jsonl", lambda: None, lambda: None, seconds=0.0).run()
    assert training.images == 0


def test_the_log_tells_speed_arithmetic_and_now_and_then_an_accuracy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(session, "LOG_EVERY_S", 0.0)
    monkeypatch.setattr(session, "JUDGE_EVERY_S", 0.0)
    training = tiny_training()
    training.recipe = replace(RECIPE, images=3 * RECIPE.batch)
    log = tmp_path / "loss.jsonl"
    assert Session(training, log, lambda: None, lambda: None, judge=lambda: 0.25, flop=6e6).run()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    losses = [line for line in lines if "loss" in line]
    assert len(losses) == 3 and [line["held_out_accuracy"] for line in lines if "loss" not in line] == [0.25] * 3
    assert losses[0]["tflops"] == pytest.approx(losses[0]["images_per_s"] * 6e6 / 1e12)


def test_the_quick_judge_learns_from_real_images() -> None:
    train, held_out = split_held_out(digits())

    def real(labels: torch.Tensor, seeds: torch.Tensor) -> torch.Tensor:
        chosen = [
            np.flatnonzero(train.labels == int(label))[int(seed) // 10]
            for label, seed in zip(labels, seeds, strict=True)
        ]
        return torch.from_numpy(train.images[chosen])

    assert quick_accuracy(real, held_out, DIGITS, "cpu") > 0.5


def test_misuse_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told(*options: str) -> str:
        assert main(["native", *options]) == 2
        return capsys.readouterr().err

    assert "there is no data set 'digit'" in told("--dataset", "digit")
    assert "no checkpoint" in told("--dataset", "digits", "--out", str(tmp_path), "--resume")
    assert "choose one of: digits" in told("--dataset", "digits", "--preset", "cifar100-cpu", "--out", str(tmp_path))
    assert "--batch must be above 0" in told("--dataset", "digits", "--batch", "0", "--out", str(tmp_path))
    assert "no weights at" in told("--dataset", "digits", "--from", str(tmp_path / "none"), "--out", str(tmp_path))
    (tmp_path / "checkpoint.pt").write_bytes(b"PK no checkpoint")
    assert "add --resume" in told("--dataset", "digits", "--out", str(tmp_path))
    assert "damaged or no checkpoint" in told("--dataset", "digits", "--out", str(tmp_path), "--resume")


def test_held_out_images_are_fixed_disjoint_and_balanced() -> None:
    train, held_out = split_held_out(digits())
    assert np.bincount(held_out.labels).tolist() == [12] * 10
    assert np.bincount(train.labels).tolist() == [108] * 10
    assert (split_held_out(digits())[1].images == held_out.images).all()
    seen = {image.tobytes() for image in train.images}
    assert not any(image.tobytes() in seen for image in held_out.images)


def test_nothing_is_done_at_probability_zero_and_the_condition_says_so() -> None:
    images = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    same, condition = warp(images, 0.0)
    assert torch.allclose(same, images, atol=1e-5)
    assert condition.shape == (4, AUGMENT_CONDITION)
    assert condition.abs().max() == 0


def test_a_warp_is_told_where_it_was_made() -> None:
    torch.manual_seed(0)
    images = torch.rand(400, 3, 16, 16) * 2 - 1
    warped, condition = warp(images, 0.1)
    changed = (warped - images).abs().flatten(1).max(dim=1).values > 1e-4
    assert torch.equal(changed, condition.abs().max(dim=1).values > 0)
    assert float(changed.float().mean()) == pytest.approx(1 - 0.9**5, abs=0.08)
    assert warped.abs().max() <= 1.0001


def test_a_shift_moves_the_image_by_what_is_told() -> None:
    """A warp whose only change is a shift along x by d widths moves the mean of a bright spot by d widths."""
    torch.manual_seed(3)
    image = -torch.ones(3, 32, 32)
    image[:, 14:18, 14:18] = 1
    warped, condition = warp(image.repeat(2000, 1, 1, 1), 0.1)
    alone = ((condition != 0).sum(dim=1) == 1) & (condition[:, 0] != 0) & (condition[:, 0].abs() < 2)
    assert alone.sum() > 20
    light = (warped[alone] + 1).mean(dim=1)
    moved = (light * torch.arange(32)).sum(dim=(1, 2)) / light.sum(dim=(1, 2)) - 15.5
    assert torch.allclose(moved / 32, condition[alone, 0] / 8, atol=0.02)


def test_half_of_the_images_are_mirrored() -> None:
    torch.manual_seed(0)
    images = torch.rand(1000, 3, 4, 4)
    flipped = flip_half(images)
    mirrored = (flipped == images.flip(3)).flatten(1).all(dim=1)
    same = (flipped == images).flatten(1).all(dim=1)
    assert (mirrored ^ same).all()
    assert float(mirrored.float().mean()) == pytest.approx(0.5, abs=0.06)


def test_energy_distance_is_zero_for_the_same_law_and_grows_with_the_difference() -> None:
    draw = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 400, 20, generator=draw).unbind(0)
    same, scale = energy_distance(a, b)
    assert scale == pytest.approx(2**0.5 * 20**0.5, rel=0.05)
    assert abs(same) < 0.01 * scale
    shifted, narrow = energy_distance(a + 0.5, b)[0], energy_distance(0.7 * a, b)[0]
    assert shifted > 0.02 * scale
    assert narrow > 0.02 * scale


def test_the_cheapest_of_the_best_samplers_is_chosen() -> None:
    ranked = [Candidate("a", 5, 0.2), Candidate("a", 8, 0.012), Candidate("b", 8, 0.011), Candidate("a", 16, 0.01)]
    assert fewest_steps(ranked, tolerance=0.005) == Candidate("b", 8, 0.011)
    assert fewest_steps(ranked, tolerance=0.0) == Candidate("a", 16, 0.01)
