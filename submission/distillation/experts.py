"""Experts: networks of the judge's kind at several ages of a training on real images, each network in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet, content_hash
from evaluation.base.progress_bar import Update
from evaluation.judge.draws import derived_seed, draw_pass
from evaluation.judge.engine import put_on_device
from evaluation.judge.fast_engine import FastEngine
from evaluation.judge.parallel import workers_for
from evaluation.judge.protocol import Protocol
from submission.training.common.checkpoint import load_checkpoint, save_checkpoint


@dataclass(frozen=True)
class Expert:
    """One network at one age.

    Attributes:
        network: which one; its ages share this number.
        age: epochs that it was trained for.
        weights: by their names in `ConvNet`, float32.
    """

    network: int
    age: int
    weights: Mapping[str, Tensor]


def experts_for(
    train: ImageSet,
    challenge: Challenge,
    count: int,
    ages: tuple[int, ...],
    seed: int,
    device: str,
    folder: Path,
    on_progress: Update = lambda fraction, text: None,
    spent: Callable[[], float] = lambda: 0.0,
) -> list[Expert]:
    """`count` networks at each of `ages` (epochs of the judge's training on `train`), in order of network and age.

    Files in `folder` are read where they are of the same training, and written where they are not. Each network has a
    file of its own that is written at every age, with all that the next pass depends on: an interruption costs the
    passes since the last age, and more networks or older ones can be asked for later.

    Args:
        ages: ascending.
        spent: the fraction of the time for it that is over, asked after every epoch; from 1 on only what was reached
            by then is returned.

    Raises ValueError if a file is damaged.
    """
    identity = {"images": content_hash(train), "challenge": challenge.name, "seed": seed}
    paths = [folder / f"network-{network:02d}.pt" for network in range(count)]
    trained = [_Trained.read(path, identity, device) for path in paths]
    if any(not set(ages) <= set(each.weights) for each in trained):
        data, protocol = put_on_device(train, challenge, torch.device(device)), Protocol()
        epochs = count * max(ages)
        steps = epochs * protocol.steps_per_pass(len(data))
        with workers_for(data.device) as workers:
            engine = FastEngine(data, challenge.classes, protocol, expected_steps=steps, workers=workers)
            for network, (path, each) in enumerate(zip(paths, trained, strict=True)):
                write = partial(each.write, path, identity)
                for epoch in each.epochs_until(ages, engine, derived_seed(seed, "expert", network), write):
                    over = spent()
                    on_progress(max((network * max(ages) + epoch) / epochs, over), f"network {network + 1} of {count}")
                    if over >= 1:
                        return _reached(trained, ages)
    return _reached(trained, ages)


def _reached(trained: Sequence[_Trained], ages: tuple[int, ...]) -> list[Expert]:
    """The experts of `ages` that there are, in order of network and age."""
    return [
        Expert(network, age, each.weights[age])
        for network, each in enumerate(trained)
        for age in ages
        if age in each.weights
    ]


@dataclass
class _Trained:
    """One network so far.

    Attributes:
        weights: by age, then by name.
        epochs: that `engine`, its state, has behind it.
    """

    weights: dict[int, dict[str, Tensor]]
    epochs: int
    engine: dict[str, Tensor] | None

    @classmethod
    def read(cls, path: Path, identity: dict[str, Any], device: str) -> _Trained:
        """What `path` has of the training of `identity`. Raises ValueError where it is damaged."""
        saved = load_checkpoint(path, device) if path.exists() else None
        if saved and saved["identity"] == identity:
            return cls(saved["weights"], saved["epochs"], saved["engine"])
        return cls({}, 0, None)

    def write(self, path: Path, identity: dict[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_checkpoint(path, {"identity": identity, **vars(self)})

    def epochs_until(
        self, ages: tuple[int, ...], engine: FastEngine, seed: int, write: Callable[[], None]
    ) -> Iterator[int]:
        """Train until there are weights of all `ages`, written at each new one; yields each epoch when it is done."""
        missing = [age for age in ages if age not in self.weights]
        if not missing:
            return
        engine.start(seed)
        engine.set_rate(engine.protocol.lr)
        first = 0
        if self.engine and self.epochs < min(missing):
            engine.load(self.engine)
            first = self.epochs
        for epoch in range(first, max(missing) + 1):
            if epoch > first:
                draws = draw_pass(seed, epoch - 1, len(engine.train), engine.protocol.batch_size)
                engine.steps(draws.to(engine.train.device))
            if epoch in missing:
                self.weights[epoch] = {name: weight.detach().clone() for name, weight in engine.weights.items()}
                self.epochs, self.engine = epoch, engine.state()
                write()
            if epoch > first:
                yield epoch
