from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from evaluation.base.challenge import get_challenge
from submission.contract.generator import (
    Generator,
    GeneratorBase,
    GeneratorInfo,
    LoadContext,
    generator_names,
    get_generator,
)
from submission.contract.job import Job
from submission.contract.settings import COMPILE, compiles
from submission.worker.source import Source, compile_networks

DIGITS = get_challenge("digits")


class Watched(Generator):
    """Says what it was asked for; its images hold their label and seed."""

    info = GeneratorInfo(name="watched", summary="", default_batch=6, parts=False)

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.network = nn.Linear(2, 2)

    @classmethod
    def load(cls, context: LoadContext) -> Watched:
        return cls()

    def networks(self) -> tuple[nn.Module, ...]:
        return (self.network,)

    def generate(self, labels_B: Tensor, seeds_B: Tensor, steps: int) -> Tensor:
        self.sizes.append(len(labels_B))
        return (labels_B + seeds_B % 200).to(torch.uint8)[:, None, None, None].expand(-1, 3, 8, 8)


class Shared(Watched):
    """The same, in parts."""

    info = GeneratorInfo(name="shared", summary="", default_batch=6, parts=True)


def job(**changes: object) -> Job:
    return Job("digits", "watched", "", "", 0.0, **changes)  # type: ignore[arg-type]


def test_the_setting_is_yes_or_no() -> None:
    assert compiles({}) is compiles({"compile": "no"}) is False
    assert compiles({"compile": "yes"}) is True
    with pytest.raises(ValueError, match="compile must be yes or no, not 'fast'"):
        get_generator("native").resolve_settings({"compile": "fast"})
    with pytest.raises(ValueError, match="'gaussian' has no setting 'compile'"):
        get_generator("gaussian").resolve_settings({"compile": "yes"})


@pytest.mark.parametrize("name", generator_names())
def test_whoever_takes_the_setting_has_networks(name: str) -> None:
    maker = get_generator(name)
    assert (COMPILE in maker.info.settings) == (maker.networks is not GeneratorBase.networks)


@given(asked=st.lists(st.integers(1, 7), min_size=1, max_size=5), batch=st.integers(7, 9))
@pytest.mark.parametrize("maker", [Watched, Shared])
def test_a_compiled_network_sees_batches_of_one_size(maker: type[Watched], asked: list[int], batch: int) -> None:
    filled, plain = maker(), maker()
    sources = [
        Source(filled, job(settings={"compile": "yes"}, batch_size=batch), DIGITS),
        Source(plain, job(batch_size=batch), DIGITS),
    ]
    for size in asked:
        first, second = (source.make_whole(source.take(size)) for source in sources)
        assert torch.equal(first, second) and len(first) == size
        assert [source.costs(size) for source in sources] == [batch, size]
    assert len(set(filled.sizes)) == 1


def test_networks_are_compiled_for_one_size_each(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []
    monkeypatch.setattr(nn.Module, "compile", lambda _network, **options: asked.append(options))
    compile_networks(Watched())
    assert asked == [{"dynamic": False}]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_compiled_images_are_the_same_to_rounding() -> None:
    """The digits model, really compiled: a minute and a half on a busy processor."""
    native = get_generator("native")
    weights = str(native.find_weights(DIGITS, None))
    made = []
    for settings in ({}, {"compile": "yes"}):
        generator = native.load(LoadContext(DIGITS, "cpu", settings=settings))
        if settings:
            compile_networks(generator)
        source = Source(generator, job(weights=weights, settings=settings, batch_size=16), DIGITS)
        made.append(source.make_whole(source.take(10)).int())
    difference = (made[0] - made[1]).abs().float()
    assert difference.mean() < 3 and difference.max() < 60
