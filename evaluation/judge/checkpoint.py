"""Checkpoint of a judgement, one safetensors file written atomically; what saves it and reports progress."""

import json
import time
import warnings
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from torch import Tensor

from evaluation.base.files import written_whole
from evaluation.base.images import ImageSet, NormalisedSet
from evaluation.judge.protocol import Progress, Protocol, Round
from evaluation.judge.streams import synchronise

REPORT_EVERY_S = 1.0
SAVE_EVERY_S = 240.0
_SCHEMA = 2


@dataclass(frozen=True)
class RoundState:
    """A round between two steps: SGD steps done, seconds spent, and what `Engine.state` gives."""

    steps_done: int
    seconds: float
    tensors: Mapping[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """A judgement that can go on: its finished rounds, and those that have begun, by their seed."""

    finished: tuple[Round, ...]
    in_progress: Mapping[int, RoundState]


def save_checkpoint(path: Path, fingerprint: str, checkpoint: Checkpoint) -> None:
    """Write to `path`, whole or not at all, with the `fingerprint` of all that determines the result."""
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
    """What `path` holds; None where there is no such file. Raises ValueError for anything but this checkpoint."""
    if not path.exists():
        return None
    header, tensors = _read(path)
    if header["schema"] != _SCHEMA or header["fingerprint"] != expected_fingerprint:
        raise ValueError(
            f"{path} is the checkpoint of another judgement (other images, protocol, seed, engine or arithmetic):"
            " delete it or name another file"
        )
    finished = _finished(header)
    in_progress = {
        state["seed"]: RoundState(
            state["steps_done"],
            state["seconds"],
            {name.partition("/")[2]: t for name, t in tensors.items() if name.startswith(f"{state['seed']}/")},
        )
        for state in header["at_work"]
    }
    return Checkpoint(finished, in_progress)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Header and tensors of the file. Raises ValueError where it is no checkpoint."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["judge"])
            return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, KeyError, OSError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a checkpoint of a judgement ({error}): delete it to start over") from None


def _finished(header: Mapping[str, Any]) -> tuple[Round, ...]:
    return tuple(Round(**{**done, "per_class": tuple(done["per_class"])}) for done in header["finished"])


def join_checkpoints(parts: Sequence[Path], path: Path) -> None:
    """Write to `path` the finished rounds of one judgement's `parts`, which are removed; nothing without parts.

    Raises ValueError where the parts are of several judgements, or trained in several kinds of arithmetic.
    """
    if not parts:
        return
    headers = [_read(part)[0] for part in parts]
    if len({(header["schema"], header["fingerprint"]) for header in headers}) > 1:
        raise ValueError(
            f"the rounds in {path.parent} are not of one judgement (other images, protocol, seed, engine or"
            " arithmetic): all machines that judge a run must be of one kind"
        )
    finished = tuple(done for header in headers for done in _finished(header))
    save_checkpoint(path, headers[0]["fingerprint"], Checkpoint(finished, {}))
    for part in parts:
        part.unlink()


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


class Monitor:
    """Follows one judgement, whose rounds may be trained in several threads.

    Args:
        report: called with the progress, about once a second.
        on_round: called with each round that is done, one at a time.

    Attributes:
        save: writes a checkpoint; None for no checkpoints.
        finished: rounds that are done, by their seed.
        in_progress: what a checkpoint holds of the rounds in progress, by their seed.
    """

    def __init__(
        self,
        protocol: Protocol,
        rounds: int,
        steps_per_pass: int,
        report: Callable[[Progress], None] | None,
        on_round: Callable[[Round], None] | None,
    ) -> None:
        self.save: Callable[[Checkpoint], None] | None = None
        self.finished: dict[int, Round] = {}
        self.in_progress: dict[int, RoundState] = {}
        self._passes, self._rounds, self._steps_per_pass = protocol.passes, rounds, steps_per_pass
        self._steps_per_round = protocol.passes * steps_per_pass
        self._report, self._on_round = report, on_round
        self._lock = Lock()
        self._reported = time.monotonic()
        self._saved: dict[int, float] = {}
        self._steps_done: dict[int, int] = {}
        self._loss_sums: dict[int, Tensor | float] = {}
        self._losses = 0

    def resume(self, saved: Checkpoint, seeds: Container[int]) -> None:
        """Go on from what a checkpoint holds of the rounds with these seeds, and report the finished ones."""
        self.finished = {done.seed: done for done in saved.finished if done.seed in seeds}
        self.in_progress = {seed: state for seed, state in saved.in_progress.items() if seed in seeds}
        self._steps_done = {seed: state.steps_done for seed, state in self.in_progress.items()}
        self._steps_done |= dict.fromkeys(self.finished, self._steps_per_round)
        if self._on_round:
            for done in self.finished.values():
                self._on_round(done)

    def after_steps(self, seed: int, steps_done: int, losses_S: Tensor, state: Callable[[], RoundState]) -> None:
        """What `train_round` reports, with the round's seed."""
        now = time.monotonic()
        with self._lock:
            self._steps_done[seed] = steps_done
            if self.save and now - self._saved.setdefault(seed, now) >= SAVE_EVERY_S:
                self._keep(seed, state())
                self._saved[seed] = now
                self.write()
            if self._report:
                self._loss_sums[seed] = self._loss_sums.get(seed, 0.0) + losses_S.sum()
                self._losses += len(losses_S)
                if steps_done == self._steps_per_round or now - self._reported >= REPORT_EVERY_S:
                    synchronise(losses_S.device)  # the other rounds' losses are on streams of their own
                    self._report(self._progress())
                    self._reported = now

    def keep(self, seed: int, state: Callable[[], RoundState]) -> None:
        """Remember a round as it is now, for the next `write`."""
        with self._lock:
            self._keep(seed, state())

    def _keep(self, seed: int, state: RoundState) -> None:
        # copies, because other rounds' checkpoints hold it while this one goes on, and on the host, because a card's
        # other streams do not wait for this round's
        copies = {name: tensor.to("cpu", copy=True) for name, tensor in state.tensors.items()}
        self.in_progress[seed] = replace(state, tensors=copies)

    def after_round(self, done: Round) -> None:
        """What `train_round` returns."""
        with self._lock:
            self.finished[done.seed] = done
            self.in_progress.pop(done.seed, None)
            self.write()
            if self._on_round:
                self._on_round(done)

    def write(self) -> None:
        """Save all that is kept."""
        from safetensors import SafetensorError

        if self.save:
            try:
                self.save(Checkpoint(tuple(self.finished.values()), dict(self.in_progress)))
            except (OSError, SafetensorError) as error:
                self.save = None
                why = getattr(error, "strerror", None) or error
                warnings.warn(f"no checkpoint can be written any more ({why}); judging goes on", stacklevel=2)

    def _progress(self) -> Progress:
        steps_so_far = sum(self._steps_done.values())
        loss = sum(map(float, self._loss_sums.values())) / self._losses
        self._loss_sums, self._losses = {}, 0
        return Progress(
            rounds_done=sum(steps == self._steps_per_round for steps in self._steps_done.values()),
            rounds=self._rounds,
            passes_done=steps_so_far // self._steps_per_pass,
            passes=self._rounds * self._passes,
            loss=loss,
        )
