"""Plan: what we will do with the budget."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from submission.generator import GeneratorBase


@dataclass(frozen=True)
class Plan:
    """Steps and batch size for the worker; None where a generator from outside decides.

    Attributes:
        steps: denoising steps.
        batch_size: images per call.
        predicted_ipc: images per class that the budget should give; None where nothing has been measured.
    """

    steps: int | None
    batch_size: int | None
    predicted_ipc: float | None = None


def plan_without_profile(
    maker: type[GeneratorBase] | None, weights: Path | None, steps: int | None, batch_size: int | None
) -> Plan:
    """What the user asked for, else what the generator and its weights declare; nothing for a command."""
    if maker is None:
        return Plan(None, None)
    return Plan(steps or maker.default_steps(weights), batch_size or maker.info.default_batch)
