"""What is compared: records of runs or measured curves, as accuracies by data set, limit and seed."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from evaluation.base.challenge import get_challenge
from evaluation.base.durations import show_duration
from evaluation.curve.curve import REAL, load_curve
from evaluation.judge.draws import round_seed
from harness.records.record import Record

RECORD = "record.json"


@dataclass(frozen=True, order=True)
class Place:
    """Where accuracies can be compared: the same data set, length of training and limit.

    Attributes:
        epochs: of the judge's trainings.
        limit: what ended generation, `IPC 10` or `10 min 00 s`.
    """

    dataset: str
    epochs: int
    limit: str


@dataclass(frozen=True)
class Measured:
    """One set of images and the accuracies of its rounds, fractions.

    Attributes:
        seed: of the images; None where they have none.
        ipc: images per class.
        rounds: by what decides a round's chance: the judge's engine and the round's seed.
    """

    seed: int | None
    ipc: float
    rounds: Mapping[Hashable, float]


@dataclass(frozen=True)
class Side:
    """A submission: what people call it, and what was measured at each place."""

    name: str
    of: str
    places: Mapping[Place, Sequence[Measured]]


def by_seed(measured: Sequence[Measured]) -> Mapping[Hashable, float]:
    """The independent values: the mean of each set of images, or the rounds where there is only one set."""
    if len(measured) == 1:
        return measured[0].rounds
    return {(each.seed, *sorted(map(str, each.rounds))): fmean(each.rounds.values()) for each in measured}


def of_record(record: Record) -> tuple[Place, Measured] | None:
    """Where a record stands, and what was measured; None where it was not judged."""
    if record.accuracy is None or record.ipc is None or record.clock is None:
        return None
    score, cap = record.accuracy, record.settings.get("ipc_cap")
    ended_by_cap = record.clock.ended_by == "ipc" and cap is not None
    limit = f"IPC {cap}" if ended_by_cap else show_duration(record.budget_s)
    rounds: dict[Hashable, float] = {
        (score.engine, round_seed(score.judge_seed, index)): each for index, each in enumerate(score.rounds)
    }
    return Place(record.dataset, score.epochs, limit), Measured(record.seed, record.ipc.mean, rounds)


def read_side(path: Path) -> Side:
    """A run's folder, a record, a folder of runs of one generator, or a curve that `python -m evaluation curve` wrote.

    Raises:
        ValueError: it is none of these, nothing in it was judged, or it holds runs of several generators.
    """
    if path.is_file() and path.suffix == ".json" and _is_curve(path):
        return _curve(path)
    files = _records(path)
    places: dict[Place, list[Measured]] = {}
    records = [Record.load(file) for file in files]
    if len(makers := sorted({record.generator for record in records})) > 1:
        raise ValueError(f"{path} holds runs of {', '.join(makers)}; give the runs of one generator")
    for found in filter(None, map(of_record, records)):
        places.setdefault(found[0], []).append(found[1])
    if not places:
        raise ValueError(f"nothing in {path} was judged; run `python -m harness run --resume --out {path}` first")
    for place, measured in places.items():
        if len({(each.seed, *each.rounds) for each in measured}) < len(measured):
            raise ValueError(f"{path} holds two runs with the same seed at {place.limit}; give one of them")
    return Side(str(path), makers[0], places)


def _records(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if (path / RECORD).exists():
        return [path / RECORD]
    if files := sorted(path.glob(f"*/{RECORD}")):
        return files
    raise ValueError(f"there is no record in {path}; give the folder of a run, or one that holds runs")


def _is_curve(path: Path) -> bool:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ValueError(f"{path} is no JSON that can be read; give the folder of a run or its record") from None
    return isinstance(content, dict) and {"dataset", "points"} <= content.keys()


def _curve(path: Path) -> Side:
    curve = load_curve(get_challenge(json.loads(path.read_text(encoding="utf-8"))["dataset"]), path)
    places = {
        Place(curve.dataset, point.epochs, f"IPC {point.ipc}"): [
            Measured(
                None if curve.of == REAL else 0,
                float(point.ipc),
                {(curve.engine, round_seed(number, 0)): accuracy for number, accuracy in enumerate(point.rounds)},
            )
        ]
        for point in curve.points
        if point.rounds
    }
    if not places:
        raise ValueError(f"{path} is a curve without points; measure some first")
    return Side(str(path), curve.of, places)
