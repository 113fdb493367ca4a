"""A worker's orders and answers: a job as one JSON file, and events as JSON lines.

Events are appended while it runs, each stamped with CLOCK_MONOTONIC seconds: `{"t": 12.5, "phase": "generate"}` begins
a phase of the ledger, `{"t": 13.0, "images": 128}` says how many images the writer has got, `{"t": 14.0, "end": "ipc"}`
why the worker stopped. The harness reads them; nothing that they say moves its clock.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Job:
    """One order for images.

    Attributes:
        challenge, generator: by name.
        output: the folder to write class folders into.
        events: the file to append what happens to, one JSON object a line.
        deadline: CLOCK_MONOTONIC seconds at which everything is killed; the worker stops by itself before.
        seed: makes the images; image seed = `image_seed(seed, label, index)`.
        steps, batch_size: denoising steps, and images per call; None for the generator's defaults.
        trial: whether to try batch sizes on the job's first images; `batch_size` is then what it falls back on.
        batch_seconds: (images, seconds) of batches as a profile measured them; empty where there is none.
        ipc: images per class to stop at, augmented copies counted; None for as many as the clock allows.
        pda: images in all for each generated one: itself, and augmented copies (`submission.worker.pda`).
        device: torch device name.
        weights, training_images: local path, and `.npz` of the training split; None where none are needed.
        settings: generator settings beyond these, as strings.
        exhibit: the file for what the generator has to show of how it works; None for nowhere.
    """

    challenge: str
    generator: str
    output: str
    events: str
    deadline: float
    seed: int = 0
    steps: int | None = None
    batch_size: int | None = None
    trial: bool = False
    batch_seconds: tuple[tuple[int, float], ...] = ()
    ipc: int | None = None
    pda: int = 1
    device: str = "cpu"
    weights: str | None = None
    training_images: str | None = None
    settings: dict[str, str] = field(default_factory=dict)
    exhibit: str | None = None

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Job:
        content = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**content, "batch_seconds": tuple((n, s) for n, s in content["batch_seconds"])})


def image_seed(seed: int, label: int, index: int) -> int:
    """The seed of image `index` of class `label`, in [0, 2**63): the same on every machine and in every run."""
    digest = blake2b(f"{seed}/{label}/{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


class EventLog:
    """Appends events; each line is one write, so a kill never leaves two halves mixed."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def say(self, **what: Any) -> None:
        line = json.dumps({"t": time.monotonic(), **what}) + "\n"
        os.write(self._fd, line.encode())


def read_events(path: Path) -> list[dict[str, Any]]:
    """The events in `path`; lines that are no JSON object with a time (a kill, a stranger) are passed over."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # the generator may have removed it
        return []
    events = []
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and isinstance(event.get("t"), int | float):
            events.append(event)
    return events
