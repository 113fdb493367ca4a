"""Classifier-free guidance (arXiv 2207.12598): the setting, and the sum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from submission.contract.settings import number

if TYPE_CHECKING:
    from torch import Tensor

GUIDANCE = number(
    "guidance", 1.0, 0.0, 20.0, "1 is none; above 1 the class is sharper, at twice the cost and less diversity"
)


def guided(both: Tensor, guidance: float) -> Tensor:
    """The guided half of `both`: what was predicted with the class, then, as many again, without it."""
    with_class, without = both.chunk(2)
    return without + guidance * (with_class - without)
