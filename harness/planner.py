"""Plan: what we will do with the budget."""

from __future__ import annotations

from dataclasses import dataclass

from submission.generator import GeneratorInfo


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


def plan_without_profile(info: GeneratorInfo | None, steps: int | None, batch_size: int | None) -> Plan:
    """What the user asked for, else what the generator declares."""
    if info is None:
        return Plan(None, None)
    return Plan(steps or info.default_steps, batch_size or info.default_batch)
