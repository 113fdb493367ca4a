"""Accuracy by IPC under the protocol: of a submission, or of random real images, the baseline of all."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np

from evaluation.base.challenge import Challenge
from evaluation.base.files import write_text
from evaluation.base.images import ImageSet, NormalisedSet, content_hash, first_index, random_index
from evaluation.judge.draws import round_seed
from evaluation.judge.protocol import FULL_EPOCHS, FULL_ROUNDS, Progress, Protocol, Round
from evaluation.judge.rounds import RoundJob, train_rounds
from evaluation.judge.score import accuracy_interval

_SHIPPED = Path(__file__).parent / "measured"
REAL = "random real images"


@dataclass(frozen=True)
class Supply:
    """The images of a curve; if `drawn`, each round samples its own, otherwise all take the first of each class."""

    images: ImageSet | NormalisedSet
    drawn: bool = False

    @property
    def of(self) -> str:
        """What the images are, in words; the same for the same images."""
        return REAL if self.drawn else f"submission {content_hash(self.images)[:12]}"

    def take(self, ipc: int, number: int, challenge: Challenge) -> ImageSet | NormalisedSet:
        """`ipc` images per class for round `number`. Raises ValueError where a class has fewer."""
        self.check(ipc, challenge)
        if self.drawn:
            return self.images.take(random_index(self.images.labels, ipc, seed=number))
        return self.images.take(first_index(self.images.labels, ipc))

    def check(self, ipc: int, challenge: Challenge) -> None:
        """Raises ValueError where a class has fewer than `ipc` images."""
        fewest = int(np.bincount(self.images.labels, minlength=challenge.classes).min())
        if ipc > fewest:
            whose = f"{challenge.title} has {fewest} training images" if self.drawn else f"there are {fewest} images"
            raise ValueError(f"{whose} in some class, so IPC {ipc} cannot be drawn; choose smaller numbers for --ipc")


@dataclass(frozen=True)
class CurvePoint:
    """One IPC; each round has its own initial weights and, of real images, its own images.

    Attributes:
        ipc: images per class.
        rounds: test accuracy of each round, fractions.
        epochs: of each round; fewer than 1,000 is a preview.
        seconds: spent on all rounds.
        how: machine, versions and command of its last round.
    """

    ipc: int
    rounds: tuple[float, ...]
    epochs: int
    seconds: float
    how: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def mean(self) -> float:
        return fmean(self.rounds)

    @property
    def ci95(self) -> tuple[float, float] | None:
        return accuracy_interval(self.rounds)

    @property
    def preview(self) -> bool:
        """Fewer epochs or rounds than the challenge's."""
        return self.epochs < FULL_EPOCHS or len(self.rounds) < FULL_ROUNDS


@dataclass(frozen=True)
class Curve:
    """Points in order of IPC, the engine that judged them, and the images they are of."""

    dataset: str
    points: tuple[CurvePoint, ...]
    engine: str = "fast"
    of: str = REAL

    def at(self, epochs: int) -> list[CurvePoint]:
        """The points with this many epochs, in order of IPC."""
        return sorted((point for point in self.points if point.epochs == epochs), key=lambda point: point.ipc)


def load_curve(challenge: Challenge, path: Path | None = None) -> Curve:
    """The curve in `path`, or the shipped one; empty where there is none. Raises ValueError for another file."""
    from pydantic import TypeAdapter

    path = path or _SHIPPED / f"{challenge.name}.json"
    if not path.exists():
        return Curve(challenge.name, ())
    try:
        curve: Curve = TypeAdapter(Curve).validate_json(path.read_bytes())
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} is not a curve ({type(error).__name__}); choose another file") from None
    if curve.dataset != challenge.name:
        raise ValueError(f"{path} is a curve of {curve.dataset}, not of {challenge.name}; choose another file")
    return curve


def save_curve(curve: Curve, path: Path) -> None:
    """Write it whole or not at all; mean, std and interval are stored beside the rounds they follow from."""
    points = [
        {
            **asdict(point),
            "mean": point.mean,
            "std": stdev(point.rounds) if len(point.rounds) > 1 else None,
            "ci95": point.ci95,
            "preview": point.preview,
        }
        for point in sorted(curve.points, key=lambda point: (point.ipc, -point.epochs))
    ]
    content = {"dataset": curve.dataset, "of": curve.of, "engine": curve.engine, "points": points}
    write_text(path, json.dumps(content, indent=1) + "\n")


def measure_point(
    ipc: int,
    supply: Supply,
    test: ImageSet | NormalisedSet,
    challenge: Challenge,
    *,
    rounds: int,
    epochs: int,
    device: str,
    engine: str = "fast",
    checkpoints: Path,
    before: CurvePoint | None = None,
    on_round: Callable[[CurvePoint], None] = lambda point: None,
    on_progress: Callable[[Progress], None] | None = None,
) -> CurvePoint:
    """Judge `ipc` images per class `rounds` times.

    Args:
        before: rounds that are already done; only the missing ones are run.
        checkpoints: folder for the files that interrupted rounds resume from.
        on_round: called with the point after each round, so that it can be saved.

    Raises ValueError where a class has fewer than `ipc` images.
    """
    of = "" if supply.drawn else f"{content_hash(supply.images)}-"
    checkpoint = checkpoints / f"{challenge.name}-{of}{engine}-{ipc}-{epochs}.ckpt"
    point = before or CurvePoint(ipc, (), epochs, 0.0)
    supply.check(ipc, challenge)
    missing = range(len(point.rounds), rounds)
    jobs = [RoundJob(round_seed(number, 0), partial(supply.take, ipc, number, challenge)) for number in missing]
    done: dict[int, Round] = {}

    def keep(round_done: Round) -> None:
        """Rounds end in any order; a point holds those before the first missing one."""
        nonlocal point
        done[round_done.seed] = round_done
        while (at := len(point.rounds)) < rounds and (following := done.get(round_seed(at, 0))):
            point = replace(
                point, rounds=(*point.rounds, following.accuracy), seconds=point.seconds + following.seconds
            )
            on_round(point)

    if not jobs:
        return point
    train_rounds(
        jobs,
        ipc * challenge.classes,
        test,
        challenge,
        Protocol(epochs),
        engine=engine,
        device=device,
        pool=supply.images,
        chance=f"IPC {ipc}, " + ("drawn by number" if supply.drawn else "the first"),
        checkpoint=checkpoint,
        on_progress=on_progress,
        on_round=keep,
    )
    checkpoint.unlink(missing_ok=True)
    return point
