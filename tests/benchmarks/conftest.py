"""Shared by rehearsals of benchmarks: what they measure, in as few tries as there can be."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from benchmarks import roofline


@pytest.fixture
def one_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's ceilings are measured once, not as the best of many tries."""
    best_seconds = roofline.best_seconds

    def seconds(operation: Callable[[], object], device: torch.device, tries: int) -> float:
        return best_seconds(operation, device, 1)

    monkeypatch.setattr(roofline, "best_seconds", seconds)
