"""`matched`: what experts see, the step that draws clusters to it, and the command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from evaluation.audits.class_order import audit_class_order
from evaluation.audits.probe import load_probe
from evaluation.base.challenge import get_challenge
from evaluation.base.images import ImageSet, first_of_each
from evaluation.data.datasets import load_split
from evaluation.judge.convnet import ConvNet
from evaluation.judge.engine import put_on_device
from submission.contract.generator import LoadContext
from submission.contract.weights import read_header
from submission.generators.gaussian import Gaussian
from submission.generators.matched import Matched
from submission.training.__main__ import main
from submission.training.common.checkpoint import load_checkpoint, save_checkpoint
from submission.training.mixtures import matched as command
from submission.training.mixtures.experts import Expert, experts_for
from submission.training.mixtures.gaussian import GaussianSettings, fit
from submission.training.mixtures.matching import Matching, MatchRecipe, with_all_clusters

DIGITS = get_challenge("digits")
RECIPE = MatchRecipe(30, 4, False, 0.5, experts=1, ages=(0, 1), steps=40, rate=0.1)


@pytest.fixture(scope="module")
def train() -> ImageSet:
    return first_of_each(load_split(DIGITS, "train", None), 20)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("experts") / "experts.pt"


@pytest.fixture(scope="module")
def experts(train: ImageSet, cache: Path) -> list[Expert]:
    return experts_for(train, DIGITS, 1, (0, 1), mirrored=False, seed=0, device="cpu", cache=cache)


def matching(train: ImageSet, experts: list[Expert], recipe: MatchRecipe = RECIPE) -> Matching:
    mixture = with_all_clusters(fit(train, GaussianSettings(30, 4, "scaled")), 0.5, 0)
    return Matching(mixture, 32, experts, recipe, DIGITS, 0, "cpu")


def test_an_expert_is_the_judges_network_and_knows_what_it_sees(train: ImageSet, experts: list[Expert]) -> None:
    data = put_on_device(train, DIGITS, torch.device("cpu"))
    for expert in experts:
        network = ConvNet(10, 32)
        network.load_state_dict(dict(expert.weights))
        with torch.no_grad():
            seen = network.blocks(data.normalised(slice(None))).flatten(1)
        means = torch.stack([seen[data.labels == label].mean(0) for label in range(10)])
        assert torch.allclose(expert.means_CF, means, atol=0.02)
        assert expert.spread == pytest.approx(float((means - means.mean(0)).square().sum(1).mean()), rel=0.05)
    young, old = experts
    assert any((young.weights[name] != old.weights[name]).any() for name in young.weights)


def test_an_interruption_costs_one_network(train: ImageSet, tmp_path: Path) -> None:
    class InterruptedTrainingError(Exception):
        pass

    def stop(share: float) -> None:
        if share > 0.5:
            raise InterruptedTrainingError

    def made(cache: Path, on_progress: Callable[[float], None]) -> list[Expert]:
        return experts_for(train, DIGITS, 2, (0, 1), False, seed=0, device="cpu", cache=cache, on_progress=on_progress)

    told: list[float] = []
    with pytest.raises(InterruptedTrainingError):
        made(tmp_path / "experts.pt", stop)
    resumed, whole = made(tmp_path / "experts.pt", told.append), made(tmp_path / "other.pt", lambda share: None)
    assert told == [0.75, 1.0], "the first network was there"
    assert len(resumed) == 4
    for one, other in zip(resumed, whole, strict=True):
        assert all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)


def test_experts_are_trained_once(train: ImageSet, cache: Path, experts: list[Expert]) -> None:
    told: list[float] = []

    def again(seed: int) -> list[Expert]:
        return experts_for(
            train, DIGITS, 1, (0, 1), mirrored=False, seed=seed, device="cpu", cache=cache, on_progress=told.append
        )

    found = again(0)
    assert not told
    assert all(torch.equal(a.means_CF, b.means_CF) for a, b in zip(found, experts, strict=True))
    copy = cache.read_bytes()
    again(1)
    assert told == [0.5, 1.0]
    cache.write_bytes(copy)


def test_every_cluster_is_used_and_none_begins_as_another(train: ImageSet) -> None:
    mixture = fit(train, GaussianSettings(30, 8, "scaled", least=4))
    assert (mixture.shares_CK == 0).any()
    full = with_all_clusters(mixture, 0.5, 0)
    assert torch.allclose(full.shares_CK, torch.full((10, 8), 1 / 8))
    for label in range(10):
        distance_KK = torch.cdist(full.centres_CKP[label], full.centres_CKP[label]) + torch.eye(8) * 1e3
        assert distance_KK.min() > 0.1
    used = mixture.shares_CK > 0
    assert torch.equal(full.centres_CKP[used], mixture.centres_CKP[used])


def test_what_is_trained_on_is_what_is_drawn(train: ImageSet, experts: list[Expert]) -> None:
    training = matching(train, experts)
    none_CKP = torch.zeros_like(training.centres_CKP)
    with torch.no_grad():
        x_BCHW = training._samples(slice(0, 10), training.centres_CKP, none_CKP)
    labels = torch.arange(10).repeat_interleave(200)
    drawn = Gaussian(training.matched(), 32, std_scale=0.0).generate(labels, torch.arange(2000), 1)
    for label in range(10):
        mine = drawn[labels == label].flatten(1).float().unique(dim=0)
        assert len(mine) == 4
        assert torch.cdist(mine / 255, x_BCHW[4 * label : 4 * label + 4].flatten(1)).min(0).values.max() < 0.2
    training.close()


def test_steps_bring_what_experts_see_nearer_to_the_real_images(train: ImageSet, experts: list[Expert]) -> None:
    training = matching(train, experts)
    apart = []
    for _ in range(4):
        for _ in range(10):
            training.step()
        apart.append(training.measured()["apart"])
    training.close()
    assert apart[-1] < 0.75 * apart[0]
    assert training.steps_done == 40 and training.images == training.total == 40 * 40
    assert training.rate == pytest.approx(0, abs=1e-12)


def test_a_killed_training_goes_on_bit_equal(train: ImageSet, experts: list[Expert], tmp_path: Path) -> None:
    whole, first, second = (matching(train, experts) for _ in range(3))
    losses = [float(whole.step()) for _ in range(6)]
    again = [float(first.step()) for _ in range(3)]
    save_checkpoint(tmp_path / "checkpoint.pt", first.state())
    second.restore(load_checkpoint(tmp_path / "checkpoint.pt", "cpu"))
    again += [float(second.step()) for _ in range(3)]
    assert again == losses
    assert torch.equal(second.centres_CKP, whole.centres_CKP)
    for training in (whole, first, second):
        training.close()


def test_larger_images_are_matched_at_their_own_size(train: ImageSet) -> None:
    tiny = replace(DIGITS, size=64)
    large = ImageSet(train.images.repeat(2, 2).repeat(2, 3), train.labels)
    mixture = with_all_clusters(fit(large, GaussianSettings(30, 4, "scaled")), 0.5, 0)
    weights = dict(ConvNet(10, 64).named_parameters())
    expert = Expert({name: weight.detach() for name, weight in weights.items()}, torch.zeros(10, 8192), 1.0)
    training = Matching(mixture, 32, [expert], RECIPE, tiny, 0, "cpu")
    before = training.centres_CKP.detach().clone()
    training.step()
    training.close()
    assert (training.centres_CKP != before).any()


def test_the_command_trains_in_pieces_and_writes_weights_that_load(
    few_digits: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(command.RECIPES, "digits", replace(RECIPE, steps=4))
    asked = ["matched", "--dataset", "digits", "--out", str(tmp_path), "--device", "cpu"]
    assert main([*asked, "--minutes", "0"]) == 0
    path = tmp_path / "matched-digits.safetensors"
    assert read_header(path).model["steps_done"] == 0
    assert main(asked) == 2
    assert "add --resume to go on from it" in capsys.readouterr().err
    assert main([*asked, "--resume", "--rate", "9"]) == 2
    assert "it cannot change on the way" in capsys.readouterr().err
    assert main([*asked, "--resume"]) == 0
    assert read_header(path).model["steps_done"] == 4
    assert list((tmp_path / "samples").glob("*.png"))
    generator = Matched.load(LoadContext(DIGITS, "cpu", Matched.find_weights(DIGITS, str(tmp_path))))
    labels = torch.arange(10)
    images = generator.generate(labels, labels, 1)
    assert images.shape == (10, 3, 32, 32)
    with pytest.raises(ValueError, match="holds weights of generator 'matched', not of 'gaussian'"):
        Gaussian.load(LoadContext(DIGITS, "cpu", path))


def test_shipped_weights_make_images_of_their_classes() -> None:
    challenge = get_challenge("cifar100")
    generator = Matched.load(LoadContext(challenge, "cpu", Matched.find_weights(challenge, None)))
    labels = torch.arange(100).repeat(4)
    images = generator.generate(labels, torch.arange(400), 1)
    audit = audit_class_order(ImageSet(images.numpy(), labels.numpy()), challenge, load_probe(challenge))
    assert audit.status == "pass"
    assert audit.numbers["agreement"] > 0.3  # type: ignore[operator]


def test_misuse_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["matched", "--dataset", "digits", "--out", str(tmp_path)]
    for option, value in (("--steps", "0"), ("--rate", "-1"), ("--clusters", "0"), ("--label-weight", "-0.1")):
        assert main([*asked, option, value]) == 2
        assert f"{option} must be" in capsys.readouterr().err
    assert main([*asked, "--resume"]) == 2
    assert "to resume; leave out --resume to begin anew" in capsys.readouterr().err
