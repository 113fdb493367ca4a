"""Compiling a generator's networks: a slower start, and faster batches from then on.

A compiled network knows batches of one size; smaller ones are filled up (`worker.source`), so that nothing is
compiled twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from submission.contract.generator import GeneratorBase

SETTING = "compile"


def compiles(settings: Mapping[str, str]) -> bool:
    """Whether the settings ask for compiling. Raises ValueError for a value other than yes and no."""
    told = settings.get(SETTING, "no")
    if told not in ("yes", "no"):
        raise ValueError(f"{SETTING} must be yes or no, not {told!r}")
    return told == "yes"


def compile_networks(generator: GeneratorBase) -> None:
    """Have every network of `generator` compiled when it is first called."""
    for network in generator.networks():
        network.compile(dynamic=False)
