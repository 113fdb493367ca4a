"""Checkpoint of a judgement: finished rounds and those at work, in one safetensors file written atomically."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from evaluation.base.files import written_whole
from evaluation.judge.device_set import Labelled
from evaluation.judge.protocol import Protocol, Round
from evaluation.judge.trainer import RoundState

_SCHEMA = 2


@dataclass(frozen=True)
class Checkpoint:
    """A judgement that can go on.

    Attributes:
        finished: rounds that are done.
        at_work: rounds that have begun, by their seed.
    """

    finished: tuple[Round, ...]
    at_work: Mapping[int, RoundState]

    def only(self, seeds: Container[int]) -> Checkpoint:
        """What it holds of the rounds with these seeds: a judgement may be resumed with fewer rounds."""
        return Checkpoint(
            tuple(done for done in self.finished if done.seed in seeds),
            {seed: state for seed, state in self.at_work.items() if seed in seeds},
        )


def save_checkpoint(path: Path, fingerprint: str, checkpoint: Checkpoint) -> None:
    """Write to `path`; whoever reads it sees the old file or the new one, whole.

    Args:
        fingerprint: of all that fixes the result; see `fingerprint`.
    """
    from safetensors.torch import save_file

    at_work = checkpoint.at_work.items()
    told = {
        "schema": _SCHEMA,
        "fingerprint": fingerprint,
        "finished": [asdict(done) for done in checkpoint.finished],
        "at_work": [{"seed": seed, "steps_done": s.steps_done, "seconds": s.seconds} for seed, s in at_work],
    }
    tensors = {f"{seed}/{name}": t.contiguous().cpu() for seed, s in at_work for name, t in s.tensors.items()}
    with written_whole(path) as part:
        save_file(tensors, part, {"judge": json.dumps(told)})


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
    at_work = {
        state["seed"]: RoundState(
            state["steps_done"],
            state["seconds"],
            {name.partition("/")[2]: t for name, t in tensors.items() if name.startswith(f"{state['seed']}/")},
        )
        for state in told["at_work"]
    }
    return Checkpoint(finished, at_work)


def fingerprint(
    train: Labelled,
    test: Labelled,
    challenge: str,
    protocol: Protocol,
    engine: str,
    chance: str,
    device: str,
    arithmetic: Sequence[str],
) -> str:
    """A hash of all that fixes a judgement's rounds, but how many there are: a finished one can be extended.

    Args:
        chance: what gives the rounds' seeds, and their images where they are drawn from `train`.
        arithmetic: how the engine's differs from float32, so that no round is made in two kinds of it.
    """
    told = {
        "challenge": challenge,
        "protocol": asdict(protocol),
        "engine": engine,
        "chance": chance,
        "device": device.partition(":")[0],
        "arithmetic": list(arithmetic),
        "sets": [[str(s.images.dtype), s.images.shape] for s in (train, test)],
    }
    digest = blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=16)
    for labelled in (train, test):
        digest.update(np.ascontiguousarray(labelled.images).data)
        digest.update(np.ascontiguousarray(labelled.labels).data)
    return digest.hexdigest()
