"""The command: in pieces, with usable weights at the end; misuse in a sentence."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from evaluation.base.challenge import get_challenge
from submission.contract.generator import LoadContext
from submission.contract.weights import read_header
from submission.distillation.recipe import RECIPES, Recipe
from submission.distillation.stored import StoredPrototypes
from submission.generators.distilled import Distilled
from submission.training.__main__ import main
from submission.training.common.checkpoint import load_checkpoint, save_checkpoint

SMALL = Recipe(4, False, 0, 1, (0, 1), groups=2, steps=4, stored_steps=2, stored_bytes=200, label_age=1)


def test_the_command_trains_in_pieces_and_writes_weights_that_load(
    few_digits: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(RECIPES, "digits", SMALL)
    asked = ["distilled", "--dataset", "digits", "--out", str(tmp_path), "--device", "cpu"]
    path = tmp_path / "distilled-digits.safetensors"
    assert main([*asked, "--minutes", "0"]) == 0
    written = capsys.readouterr().err
    assert (
        "distilled for Digits: 4 prototypes a class, 2 targets of 1 networks, seed 0; 0 of 160 images seen" in written
    )
    assert read_header(path).model["steps_done"] == 0
    assert main(asked) == 2
    assert "add --resume to go on from it" in capsys.readouterr().err
    assert main([*asked, "--resume", "--rate", "9"]) == 2
    assert "has --rate 0.03; it cannot change on the way" in capsys.readouterr().err
    assert main([*asked, "--resume", "--ages", "0", "1", "--views", "0"]) == 0, "as it was begun"
    header = read_header(path)
    assert header.model["steps_done"] == 4 and header.model["mirrored"] is False
    assert list((tmp_path / "samples").glob("*.png"))
    generator = Distilled.load(LoadContext(get_challenge("digits"), "cpu", path))
    labels = torch.arange(10).repeat(4)
    images = generator.generate_numbered(labels, torch.arange(40) // 10, labels, 1)
    assert images.shape == (40, 3, 32, 32) and images.dtype == torch.uint8
    assert len(images.flatten(1).unique(dim=0)) == 40
    digits, state = get_challenge("digits"), load_checkpoint(tmp_path / "checkpoint.pt", "cpu")["state"]
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (digits.mean, digits.std))
    last = StoredPrototypes.nearest(255 * (state["prototypes"] * std + mean), state["storage_step"]).decode()
    shown = last.round().clamp(0, 255).byte().flatten(0, 1)
    assert torch.equal(images.flatten(1).unique(dim=0), shown.flatten(1).unique(dim=0)), "the step of the file too"


def test_a_checkpoint_of_another_version_is_refused_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    former = {name: value for name, value in asdict(SMALL).items() if name != "views"} | {"mirrored_targets": False}
    save_checkpoint(tmp_path / "checkpoint.pt", {"challenge": "digits", "recipe": former, "seed": 0, "state": {}})
    assert main(["distilled", "--dataset", "digits", "--out", str(tmp_path), "--resume"]) == 2
    assert "was begun by another version, with other options" in capsys.readouterr().err


def test_misuse_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["distilled", "--dataset", "digits", "--out", str(tmp_path)]
    for option, value, limit in (
        ("--steps", "0", "at least 1"),
        ("--rate", "-1", "above 0"),
        ("--prototypes", "0", "at least 1"),
        ("--label-weight", "-0.1", "at least 0"),
        ("--group-weight", "1.5", "at most 1"),
    ):
        assert main([*asked, option, value]) == 2
        assert f"{option} must be {limit}, not {value}" in capsys.readouterr().err.replace(".0\n", "\n")
    assert main([*asked, "--steps", "10", "--stored-steps", "11"]) == 2
    assert "--stored-steps must be at most the 10 of --steps, not 11" in capsys.readouterr().err
    assert main([*asked, "--ages", "0", "-1"]) == 2
    assert "--ages are epochs of training, 0 or more, not -1" in capsys.readouterr().err
    assert main([*asked, "--resume"]) == 2
    assert "to resume; leave out --resume to begin anew" in capsys.readouterr().err
