"""Folders of runs to test with: real images on disk, a record made by hand with their hash."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from evaluation.audits.audit import Audit
from evaluation.base.challenge import get_challenge
from evaluation.judge.score import accuracy_interval
from harness.leaderboard.rows import Run
from harness.records.record import IpcPart, Record
from harness.run.collect import collect
from tests.harness.records.samples import accuracy, record

PASSED = (Audit("leakage", "pass", "no copies", {"league": "generating"}),)
COPIES = (Audit("leakage", "warn", "near-copies of training images", {"league": "copying"}),)
LEAKED = (Audit("leakage", "fail", "copies of test images", {"league": "generating"}),)


def judged(
    dataset: str = "digits",
    rounds: tuple[float, ...] = (0.89, 0.9, 0.91),
    epochs: int = 1000,
    asked: tuple[str, ...] = (),
    judge_seed: int = 0,
    **changes: Any,
) -> Record:
    """A record of one image a class; `asked`: options of its command."""
    challenge = get_challenge(dataset)
    score = accuracy(
        rounds=rounds,
        mean=sum(rounds) / len(rounds),
        ci95=accuracy_interval(rounds),
        per_class=(sum(rounds) / len(rounds),) * challenge.classes,
        epochs=epochs,
        passes=epochs + 1,
        preview=epochs < 1000 or len(rounds) < 3,
        judge_seed=judge_seed,
    )
    usual = record()
    assert usual.clock is not None
    budget_s = changes.get("budget_s", challenge.budget_s)
    told: dict[str, Any] = {
        "dataset": dataset,
        "budget_s": budget_s,
        "clock": usual.clock.model_copy(update={"deadline": usual.clock.started + budget_s}),
        "images": challenge.classes,
        "images_hash": "a" * 64,
        "ipc": IpcPart(mean=1.0, min=1, max=1, distinct=1.0),
        "accuracy": score,
        "audits": list(PASSED),
        "commit": "0123456789abcdef",
        "command": ["python", "-m", "harness", "--dataset", dataset, *asked],
    }
    return record(**{**told, **changes})


def keep_run(folder: Path, images_seed: int = 0, **changes: Any) -> Path:
    """Write a run: an image of noise a class, and its record; `changes` as for `judged`."""
    dataset = changes.get("dataset", "digits")
    challenge = get_challenge(dataset)
    noise = np.random.default_rng(images_seed)
    for label, name in enumerate(challenge.class_names):
        of_class = folder / "images" / f"{label:03d}-{name}"
        of_class.mkdir(parents=True)
        pixels = noise.integers(0, 256, (challenge.size, challenge.size, 3), np.uint8)
        Image.fromarray(pixels).save(of_class / "000000.png")
    found = collect(folder / "images", challenge)
    judged(**{"images_hash": found.images_hash, **changes}).save(folder / "record.json")
    return folder


def counted(name: str = "reports/a.html", verified: bool = True, twin: str = "", **changes: Any) -> Run:
    """A run that counts, without a folder."""
    return Run(judged(**changes), name, name, verified, twin)
