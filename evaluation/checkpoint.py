"""Checkpoint of a judgement: finished rounds and the one at work, in one safetensors file written atomically."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from evaluation.protocol import Protocol, Round
from evaluation.resident import Labelled
from evaluation.trainer import RoundState

_SCHEMA = 1


@dataclass(frozen=True)
class Checkpoint:
    """A judgement that can go on.

    Attributes:
        fingerprint: of all that fixes the result; see `fingerprint`.
        finished: rounds that are done.
        at_work: the round after them, None where it has not begun.
    """

    fingerprint: str
    finished: tuple[Round, ...]
    at_work: RoundState | None

    def save(self, path: Path) -> None:
        """Write to `path`; whoever reads it sees the old file or the new one, whole."""
        from safetensors.torch import save_file

        told = {
            "schema": _SCHEMA,
            "fingerprint": self.fingerprint,
            "finished": [asdict(done) for done in self.finished],
            "steps_done": self.at_work.steps_done if self.at_work else None,
            "seconds": self.at_work.seconds if self.at_work else None,
        }
        tensors = self.at_work.tensors if self.at_work else {}
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        try:
            save_file({name: t.contiguous().cpu() for name, t in tensors.items()}, part, {"judge": json.dumps(told)})
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def load_checkpoint(path: Path, expected_fingerprint: str) -> Checkpoint | None:
    """What `path` holds, None where there is no such file.

    Raises:
        ValueError: the file is no checkpoint, or one of other images or another protocol.
    """
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            told = json.loads((file.metadata() or {})["judge"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, KeyError, OSError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is no checkpoint of a judgement ({error}): delete it to begin anew") from None
    if told["schema"] != _SCHEMA or told["fingerprint"] != expected_fingerprint:
        raise ValueError(
            f"{path} is the checkpoint of another judgement (other images, protocol, seed, engine or arithmetic):"
            " delete it or name another file"
        )
    finished = tuple(Round(**{**done, "per_class": tuple(done["per_class"])}) for done in told["finished"])
    at_work = None if told["steps_done"] is None else RoundState(told["steps_done"], told["seconds"], tensors)
    return Checkpoint(expected_fingerprint, finished, at_work)


def fingerprint(
    train: Labelled,
    test: Labelled,
    challenge: str,
    protocol: Protocol,
    engine: str,
    judge_seed: int,
    device: str,
    arithmetic: Sequence[str],
) -> str:
    """A hash of all that fixes a judgement's rounds, but how many there are: a finished one can be extended.

    Args:
        arithmetic: how the engine's differs from float32, so that no round is made in two kinds of it.
    """
    told = {
        "challenge": challenge,
        "protocol": asdict(protocol),
        "engine": engine,
        "judge_seed": judge_seed,
        "device": device,
        "arithmetic": list(arithmetic),
        "sets": [[str(s.images.dtype), s.images.shape] for s in (train, test)],
    }
    digest = blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=16)
    for labelled in (train, test):
        digest.update(np.ascontiguousarray(labelled.images).data)
        digest.update(np.ascontiguousarray(labelled.labels).data)
    return digest.hexdigest()
