"""`distilled`: which prototype an image shows, turned or mixed; the same whatever the batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.audits.class_order import audit_class_order
from evaluation.audits.probe import load_probe
from evaluation.base.challenge import get_challenge
from evaluation.base.images import ImageSet
from submission.contract.generator import LoadContext, get_generator
from submission.contract.weights import WeightsHeader, save_weights
from submission.generators.distilled import Distilled

DIGITS = get_challenge("digits")
COUNT = 5


@pytest.fixture(scope="module")
def prototypes_CK3HW() -> torch.Tensor:  # noqa: N802 - named as where it goes
    return torch.randint(0, 256, (10, COUNT, 3, 32, 32), generator=torch.Generator().manual_seed(0)).float()


def numbered(generator: Distilled, ipc: int, batch: int, seed: int = 0) -> torch.Tensor:
    labels = torch.arange(10).repeat(ipc)
    indices = torch.arange(len(labels)) // 10
    seeds = 1000 * seed + torch.arange(len(labels))
    orders = zip(labels.split(batch), indices.split(batch), seeds.split(batch), strict=True)
    return torch.cat([generator.generate_numbered(*order, 1) for order in orders]).view(ipc, 10, 3, 32, 32)


def test_a_run_goes_round_the_prototypes_then_their_mirror_images_then_mixtures(
    prototypes_CK3HW: torch.Tensor,
) -> None:
    shown = numbered(Distilled(prototypes_CK3HW, mix=0.3), 4 * COUNT, 10)
    whole = prototypes_CK3HW.transpose(0, 1).byte()
    assert torch.equal(shown[:COUNT], whole)
    assert torch.equal(shown[COUNT : 2 * COUNT], whole.flip(4))
    third, fourth = shown[2 * COUNT : 3 * COUNT].float(), shown[3 * COUNT :].float()
    for mixed, base in ((third, whole.float()), (fourth, whole.flip(4).float())):
        off = (mixed - base).square().mean((2, 3, 4)).sqrt()
        apart = torch.cdist(base.flatten(2).transpose(0, 1), base.flatten(2).transpose(0, 1)).max() / 3072**0.5
        assert (off > 0).all() and (off <= 0.3 * apart + 1).all()
    assert len(shown.flatten(0, 1).flatten(1).unique(dim=0)) == 40 * COUNT


def test_mirror_images_are_left_out_where_they_show_another_class(
    prototypes_CK3HW: torch.Tensor,
) -> None:
    shown = numbered(Distilled(prototypes_CK3HW, mix=0.1, mirrored=False), 3 * COUNT, 10)
    whole = prototypes_CK3HW.transpose(0, 1)
    assert torch.equal(shown[:COUNT], whole.byte())
    for turn in (1, 2):
        mixed = shown[turn * COUNT : (turn + 1) * COUNT].float()
        plain, turned = ((mixed - base).square().mean((2, 3, 4)) for base in (whole, whole.flip(4)))
        assert (plain < turned).all() and (plain > 0).all()


@settings(deadline=None, max_examples=20)
@given(batch=st.integers(1, 150), seed=st.integers(0, 5))
def test_an_image_is_the_same_whatever_the_batch(batch: int, seed: int) -> None:
    draws = torch.Generator().manual_seed(1)
    generator = Distilled(torch.rand(10, 3, 3, 32, 32, generator=draws) * 255)
    assert torch.equal(numbered(generator, 15, batch, seed), numbered(generator, 15, 150, seed))
    labels, seeds = torch.arange(10).repeat(5), torch.arange(50) + seed
    parts = zip(labels.split(batch), seeds.split(batch), strict=True)
    assert torch.equal(
        torch.cat([generator.generate(*part, 1) for part in parts]), generator.generate(labels, seeds, 1)
    )


def test_other_seeds_mix_otherwise(prototypes_CK3HW: torch.Tensor) -> None:
    generator = Distilled(prototypes_CK3HW)
    first, other = (numbered(generator, 4 * COUNT, 10, seed) for seed in (0, 1))
    assert torch.equal(first[: 2 * COUNT], other[: 2 * COUNT])
    assert not torch.equal(first[2 * COUNT :], other[2 * COUNT :])


@pytest.mark.parametrize(("name", "agreement"), [("cifar100", 0.3), ("tiny-imagenet", 0.1)])
def test_shipped_weights_make_images_of_their_classes(name: str, agreement: float) -> None:
    challenge = get_challenge(name)
    generator = Distilled.load(LoadContext(challenge, "cpu", Distilled.find_weights(challenge, None)))
    count = 4 * challenge.classes
    labels = torch.arange(challenge.classes).repeat(4)
    images = generator.generate_numbered(labels, torch.arange(count) // challenge.classes, torch.arange(count), 1)
    assert images.shape == (count, 3, challenge.size, challenge.size)
    audit = audit_class_order(ImageSet(images.numpy(), labels.numpy()), challenge, load_probe(challenge))
    assert audit.status == "pass"
    assert audit.numbers["agreement"] > agreement  # type: ignore[operator]


def test_misuse_is_one_sentence(tmp_path: Path) -> None:
    kind = get_generator("distilled")
    assert kind is Distilled
    with pytest.raises(ValueError, match=r"mix must be a number from 0 to 0\.5, not '0\.7'"):
        kind.resolve_settings({"mix": "0.7"})
    path = tmp_path / "distilled-digits.safetensors"
    header = WeightsHeader("distilled", "digits", DIGITS.class_names, "nothing", "Apache-2.0", 0, {"mirrored": False})
    save_weights(path, {"mean_D": torch.zeros(3072)}, header)
    with pytest.raises(ValueError, match="no tensors of packed prototypes; train it again"):
        Distilled.load(LoadContext(DIGITS, "cpu", path))
    with pytest.raises(ValueError, match="no weights of 'distilled' are shipped for 'digits'"):
        Distilled.find_weights(DIGITS, None)
