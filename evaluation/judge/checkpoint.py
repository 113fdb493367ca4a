"""Checkpoint of a judgement: finished rounds and those in progress, in one safetensors file written atomically."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from torch import Tensor

from evaluation.base.files import written_whole
from evaluation.base.images import ImageSet, NormalisedSet
from evaluation.judge.protocol import Protocol, Round

_SCHEMA = 2


@dataclass(frozen=True)
class RoundState:
    """A round between two steps: all that is needed to go on, since its draws follow from its seed.

    Attributes:
        steps_done: steps finished.
        seconds: spent so far.
        tensors: what `Engine.state` gives.
    """

    steps_done: int
    seconds: float
    tensors: Mapping[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """A judgement that can go on.

    Attributes:
        finished: rounds that are done.
        in_progress: rounds that have begun, by their seed.
    """

    finished: tuple[Round, ...]
    in_progress: Mapping[int, RoundState]


def save_checkpoint(path: Path, fingerprint: str, checkpoint: Checkpoint) -> None:
    """Write to `path`; whoever reads it sees the old file or the new one, complete.

    Args:
        fingerprint: of all that determines the result; see `fingerprint`.
    """
    from safetensors.torch import save_file

    states = checkpoint.in_progress.items()
    header = {
        "schema": _SCHEMA,
        "fingerprint": fingerprint,
        "finished": [asdict(done) for done in checkpoint.finished],
        "at_work": [{"seed": seed, "steps_done": s.steps_done, "seconds": s.seconds} for seed, s in states],
    }
    tensors = {f"{seed}/{name}": t.contiguous().cpu() for seed, s in states for name, t in s.tensors.items()}
    for stale in path.parent.glob(f".{path.name}.*.part"):  # left by a process that was killed
        stale.unlink(missing_ok=True)
    with written_whole(path) as part:
        save_file(tensors, part, {"judge": json.dumps(header)})


def load_checkpoint(path: Path, expected_fingerprint: str) -> Checkpoint | None:
    """What `path` holds; None where there is no such file.

    Raises:
        ValueError: the file is not a checkpoint, or one of other images or another protocol.
    """
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["judge"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, KeyError, OSError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a checkpoint of a judgement ({error}): delete it to start over") from None
    if header["schema"] != _SCHEMA or header["fingerprint"] != expected_fingerprint:
        raise ValueError(
            f"{path} is the checkpoint of another judgement (other images, protocol, seed, engine or arithmetic):"
            " delete it or name another file"
        )
    finished = tuple(Round(**{**done, "per_class": tuple(done["per_class"])}) for done in header["finished"])
    in_progress = {
        state["seed"]: RoundState(
            state["steps_done"],
            state["seconds"],
            {name.partition("/")[2]: t for name, t in tensors.items() if name.startswith(f"{state['seed']}/")},
        )
        for state in header["at_work"]
    }
    return Checkpoint(finished, in_progress)


def fingerprint(
    train: ImageSet | NormalisedSet,
    test: ImageSet | NormalisedSet,
    challenge: str,
    protocol: Protocol,
    engine: str,
    chance: str,
    device: str,
    arithmetic: Sequence[str],
) -> str:
    """A hash of all that determines a judgement's rounds, but not their number: a finished one can be extended.

    Args:
        chance: what the rounds' seeds depend on, and their images where they are sampled from `train`.
        arithmetic: how the engine's differs from float32, so that no round is trained in two kinds of it.
    """
    header = {
        "challenge": challenge,
        "protocol": asdict(protocol),
        "engine": engine,
        "chance": chance,
        "device": device.partition(":")[0],
        "arithmetic": list(arithmetic),
        "sets": [[str(s.images.dtype), s.images.shape] for s in (train, test)],
    }
    digest = blake2b(json.dumps(header, sort_keys=True).encode(), digest_size=16)
    for labelled in (train, test):
        digest.update(np.ascontiguousarray(labelled.images).data)
        digest.update(np.ascontiguousarray(labelled.labels).data)
    return digest.hexdigest()
