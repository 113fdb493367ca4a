"""Random numbers of an image depend on its seed alone, and are what they claim to be."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from submission.contract.job import image_seed
from submission.contract.seeded import bits, normal, uniform, van_der_corput

SEEDS = st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=8)


@given(seeds=SEEDS, count=st.integers(1, 33))
def test_a_number_depends_on_its_own_seed_alone(seeds: list[int], count: int) -> None:
    together = normal(torch.tensor(seeds), count)
    alone = torch.cat([normal(torch.tensor([seed]), count) for seed in seeds])
    assert torch.equal(together, alone)
    assert together.isfinite().all()


def test_the_hash_is_splitmix64() -> None:
    """The finaliser of SplitMix64 in plain Python, with its published constants."""

    def mixed(x: int) -> int:
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB % 2**64
        return x ^ (x >> 31)

    for seed in (0, 1, 2**62 + 12345):
        expected = [mixed((mixed(seed) + 0x9E3779B97F4A7C15 * i) % 2**64) for i in range(3, 8)]
        assert (bits(torch.tensor([seed]), 5, skip=2)[0].numpy().view(np.uint64) == np.array(expected, np.uint64)).all()


def test_numbers_are_normal_and_uniform_and_do_not_hang_together() -> None:
    seeds = torch.tensor([image_seed(0, label, index) for label in range(20) for index in range(20)])
    for sample, law in ((normal(seeds, 501), "norm"), (uniform(seeds, 501), "uniform")):
        assert stats.kstest(sample.flatten().numpy(), law).pvalue > 1e-3
        for numbers in (sample, sample.t()):  # between images, and between the numbers of an image
            correlation = torch.corrcoef(numbers.double()).fill_diagonal_(0)
            assert float(correlation.abs().max()) < 6.0 / numbers.shape[1] ** 0.5


def test_neighbouring_seeds_give_unrelated_numbers() -> None:
    numbers = normal(torch.arange(300), 400)
    assert float(torch.corrcoef(numbers).fill_diagonal_(0).abs().max()) < 6.0 / 400**0.5


def test_skipping_moves_along_the_same_sequence() -> None:
    seeds = torch.tensor([5, 6])
    assert torch.equal(uniform(seeds, 10)[:, 4:], uniform(seeds, 6, skip=4))


def test_the_first_positions_lie_evenly() -> None:
    assert van_der_corput(torch.arange(8)).tolist() == [0, 0.5, 0.25, 0.75, 0.125, 0.625, 0.375, 0.875]
    positions = van_der_corput(torch.arange(2**12))
    assert torch.equal(positions.sort().values, torch.arange(2**12).double() / 2**12)
    assert 0 < float(van_der_corput(torch.tensor([2**31 - 1]))) < 1


@given(first=st.integers(0, 2**30), k=st.integers(0, 6))
def test_so_do_those_of_any_whole_turn(first: int, k: int) -> None:
    turn = van_der_corput(first // 2**k * 2**k + torch.arange(2**k))
    assert (turn * 2**k).long().sort().values.tolist() == list(range(2**k))
