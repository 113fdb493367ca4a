"""Random numbers of an image from its seed alone, for a whole batch at once.

A counter is hashed with each image's seed, so image i gets the same numbers at every batch size and on every device.
"""

import math

import torch
from torch import Tensor

# The constants of SplitMix64 as int64: the step of its counter, then shift and factor of its two rounds.
_STEP = -0x61C8864680B583EB
_ROUNDS = ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15))
_LAST_SHIFT = 31


def bits(seeds_B: Tensor, count: int, skip: int = 0) -> Tensor:
    """`count` 64-bit numbers for each seed, int64 (B, count), after the first `skip` of its sequence."""
    counter_N = torch.arange(skip + 1, skip + count + 1, device=seeds_B.device) * _STEP
    return _mixed(_mixed(seeds_B)[:, None] + counter_N)


def uniform(seeds_B: Tensor, count: int, skip: int = 0) -> Tensor:
    """`count` uniform numbers in (0, 1) for each seed, float64 (B, count)."""
    return _fraction(_shifted(bits(seeds_B, count, skip), 32))


def normal(seeds_B: Tensor, count: int, skip: int = 0) -> Tensor:
    """`count` standard normal numbers for each seed, float32 (B, count), two from each 64 bits (Box and Muller).

    Computed in float64 and then rounded, so that no device's logarithm or cosine shows in the result.
    """
    halves = bits(seeds_B, (count + 1) // 2, skip)
    radius = (-2 * _fraction(_shifted(halves, 32)).log()).sqrt_()
    angle = 2 * math.pi * _fraction(halves & 0xFFFFFFFF)
    return torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)[:, :count].float()


def noise(seeds_B: Tensor, shape: tuple[int, ...], draw: int = 0, skip: int = 0) -> Tensor:
    """Standard normal noise, float32 (B, *shape), different for each `draw`, after `skip` numbers used elsewhere."""
    count = math.prod(shape)
    return normal(seeds_B, count, skip + draw * ((count + 1) // 2)).view(-1, *shape)


def van_der_corput(indices_B: Tensor) -> Tensor:
    """Evenly spread positions in [0, 1), float64 (B,), for int64 indices in [0, 2**31) (van der Corput, 1935)."""
    bit_N = torch.arange(31, device=indices_B.device)
    return (((indices_B[:, None] >> bit_N) & 1) * 0.5 ** (bit_N + 1).double()).sum(1)


def _mixed(x: Tensor) -> Tensor:
    for shift, factor in _ROUNDS:
        x = (x ^ _shifted(x, shift)) * factor
    return x ^ _shifted(x, _LAST_SHIFT)


def _shifted(x: Tensor, shift: int) -> Tensor:
    """`x` shifted right with zeros moving in, which int64 does not do by itself."""
    return (x >> shift) & ((1 << (64 - shift)) - 1)


def _fraction(upper: Tensor) -> Tensor:
    """Integers in [0, 2**32) as float64 in (0, 1), both ends excluded."""
    return (upper.double() + 0.5) / 2**32
