"""Classifier-free guidance (arXiv 2207.12598): the setting, and the sum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def parse_guidance(settings: Mapping[str, str]) -> float:
    """The setting `guidance`, 1 where the user has not set it. Raises ValueError for one that makes no sense."""
    try:
        guidance = float(settings.get("guidance", "1"))
    except ValueError:
        guidance = -1.0
    if not 0 <= guidance <= 20:
        raise ValueError(f"guidance must be a number from 0 to 20 (1 is none), not {settings['guidance']!r}")
    return guidance


def guided(both: Tensor, guidance: float) -> Tensor:
    """The guided half of `both`: what was predicted with the class, then, as many again, without it."""
    with_class, without = both.chunk(2)
    return without + guidance * (with_class - without)
