"""A record to test with: of digits, complete, made by hand."""

from __future__ import annotations

from typing import Any

from evaluation.judge.score import Score
from harness.clock.ledger import Ledger
from harness.records.record import (
    ClockPart,
    IpcPart,
    MachinePart,
    Outcome,
    PlanPart,
    Record,
    ThroughputPart,
)


def accuracy(**changes: Any) -> Score:
    told: dict[str, Any] = {
        "mean": 0.9,
        "std": 0.01,
        "ci95": (0.88, 0.92),
        "rounds": (0.89, 0.9, 0.91),
        "per_class": (0.9,) * 10,
        "epochs": 1000,
        "passes": 1001,
        "engine": "fast",
        "preview": False,
        "judge_seed": 0,
        "device": "cpu",
        "seconds": 12.0,
        "deviations": (),
    }
    return Score(**{**told, **changes})


def record(**changes: Any) -> Record:
    told: dict[str, Any] = {
        "schema": 1,
        "dataset": "digits",
        "generator": "noise",
        "declared": None,
        "settings": {},
        "seed": 0,
        "outcome": Outcome.OK,
        "budget_s": 60.0,
        "clock": ClockPart(
            started_at="2026-01-01T00:00:00+00:00",
            started=100.0,
            deadline=160.0,
            ended=140.0,
            ended_by="ipc",
            isolation="process",
            ledger=Ledger(load=2.0, generate=37.0, write=1.0),
        ),
        "images": 20,
        "ipc": IpcPart(mean=2.0, min=2, max=2),
        "plan": PlanPart(steps=8, batch_size=64, predicted_ipc=None),
        "images_over_time": [(3.0, 1), (39.0, 20)],
        "accuracy": accuracy(),
        "throughput": ThroughputPart(images_per_s=0.5),
        "machine": MachinePart(cpu="a processor", cores=2, memory_gb=24.0),
        "versions": {"python": "3.11"},
        "commit": None,
        "command": ["harness", "--dataset", "digits"],
    }
    return Record(**{**told, **changes})
