"""How the parts of `benchmarks.first_gpu` measure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from benchmarks.roofline import Ceilings, arithmetics, measure_ceilings
from evaluation.base.challenge import Challenge, get_challenge
from evaluation.judge.streams import synchronise

Result = dict[str, Any]


@dataclass(frozen=True)
class Setup:
    """How the parts measure; `quick` is for a rehearsal: small sets, tiny models, no number worth keeping."""

    device: torch.device
    quick: bool

    @property
    def seconds(self) -> float:
        """Of each measurement."""
        return 0.01 if self.quick else 2.0

    @property
    def challenges(self) -> tuple[Challenge, ...]:
        names = ("digits",) if self.quick else ("cifar100", "tiny-imagenet")
        return tuple(map(get_challenge, names))

    @cached_property
    def ceilings(self) -> Ceilings:
        return measure_ceilings(self.device, arithmetics(self.device), tries=1 if self.quick else 7)

    def synchronise(self) -> None:
        synchronise(self.device)
