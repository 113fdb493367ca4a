"""The scorer that `--keep` asks: what it knows, and that it is nobody else's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evaluation.audits.base.probe import probe_path
from evaluation.base.challenge import get_challenge
from evaluation.data.datasets import load_split
from submission.contract.weights import read_header
from submission.patches import scorer as scorers
from submission.patches.scorer import Scorer, ScorerNetwork, check_scorer, load_scorer, scorer_input, scorer_path
from submission.training.__main__ import main
from submission.training.common.held_out import hold_out
from submission.training.native.diffusion import DeviceData
from submission.training.native.scorer import accuracy_of, fold_norms

DIGITS = get_challenge("digits")


def test_shipped_digits_are_small_and_right_on_held_out_images() -> None:
    assert scorer_path(DIGITS).stat().st_size < 200_000
    held_out = DeviceData.put(hold_out(load_split(DIGITS, "train", None))[1], "cpu")
    scorer = load_scorer(DIGITS, "cpu")
    assert accuracy_of(scorer, held_out) > 0.9
    right = scorer.score(held_out.images, held_out.labels)
    wrong = scorer.score(held_out.images, (held_out.labels + 1) % 10)
    assert right.shape == (len(held_out.labels),) and right.max() <= 0
    assert float((right > wrong).float().mean()) > 0.95


def test_it_is_not_the_audits_probe() -> None:
    for challenge in (DIGITS, get_challenge("cifar100")):
        if scorer_path(challenge).exists():
            assert scorer_path(challenge).read_bytes() != probe_path(challenge).read_bytes()
            assert read_header(scorer_path(challenge)).generator == "scorer"
    sources = [Path(scorers.__file__), Path(scorers.__file__).parents[1] / "worker" / "keeping.py"]
    assert not any("evaluation.audits.base.probe" in path.read_text(encoding="utf-8") for path in sources)


def test_folding_the_norms_changes_nothing() -> None:
    torch.manual_seed(0)
    network = ScorerNetwork(10, (8, 12, 16), norm=True)
    images = torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8)
    for _ in range(20):
        network(scorer_input(images))  # statistics of their own
    folded = fold_norms(network.eval())
    assert torch.allclose(folded(scorer_input(images)), network(scorer_input(images)), atol=1e-4)
    assert not any("norm" in name for name in folded.state_dict())


def test_larger_images_are_averaged_down() -> None:
    small = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    large = small.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    assert torch.allclose(scorer_input(large), scorer_input(small), atol=1e-6)


def test_the_score_is_the_logarithm_of_the_probability() -> None:
    torch.manual_seed(0)
    scorer = Scorer(ScorerNetwork(3, (8, 8)))
    images = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8)
    each = torch.stack([scorer.score(images, torch.full((5,), label)) for label in range(3)], dim=1)
    assert torch.allclose(each.exp().sum(1), torch.ones(5), atol=1e-5)


def test_one_is_trained_by_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "scorer-digits.safetensors"
    assert main(["scorer", "--dataset", "digits", "--epochs", "2", "--out", str(out)]) == 0
    assert "of held-out training images right" in capsys.readouterr().out
    assert read_header(out).model["epochs"] == 2
    assert main(["scorer", "--dataset", "digits", "--epochs", "0", "--out", str(out)]) == 2


def test_a_challenge_without_one_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(scorers, "SHIPPED", tmp_path)
    with pytest.raises(ValueError, match=r"python -m submission\.training scorer --dataset digits"):
        check_scorer(DIGITS)
