"""A measurement of digits made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from harness.compare.baseline import Measurement, Task
from tests.harness.records.samples import accuracy


def measurement(
    rounds: Mapping[int, Sequence[float]], judge_seed: int = 0, task: Mapping[str, Any] | None = None, **changes: Any
) -> Measurement:
    """`rounds`: accuracies by IPC."""
    scores = {
        ipc: accuracy(
            rounds=tuple(each),
            mean=fmean(each),
            std=stdev(each) if len(each) > 1 else None,
            ci95=None,
            judge_seed=judge_seed,
            epochs=20,
        )
        for ipc, each in rounds.items()
    }
    told: dict[str, Any] = {
        "task": Task(dataset="digits", ipc=tuple(rounds), epochs=20, margin=2.0).changed(task or {}),
        "generator": "noise",
        "outcome": "ok",
        "ended_by": "ipc",
        "ipc": float(max(rounds)),
        "least": max(rounds),
        "images_hash": None,
        "scores": scores,
        "images_per_s": 10.0,
        "calibration": None,
        "machine": {"label": "here"},
    }
    return Measurement(**{**told, **changes})
