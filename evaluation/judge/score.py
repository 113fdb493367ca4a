"""Score: the result of a judgement, and `judge`, which makes one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev

from evaluation.base.challenge import Challenge
from evaluation.base.files import check_writable
from evaluation.base.images import ImageSet, NormalisedSet
from evaluation.judge.draws import round_seed
from evaluation.judge.protocol import FULL_EPOCHS, FULL_ROUNDS, Progress, Protocol, Round
from evaluation.judge.rounds import RoundJob, get_engine, train_rounds


@dataclass(frozen=True)
class Score:
    """The accuracy that a set of training images earns. Accuracies are fractions in [0, 1].

    Attributes:
        mean: over rounds.
        std: over rounds, ddof 1; None for one round.
        ci95: [low, high] of the mean by Student's t, kept within [0, 1]; None for one round.
        rounds: the accuracy of each round.
        per_class: mean over rounds by label; None for a class without test images.
        epochs: what the protocol calls epochs; `passes` were run.
        passes: passes over the training images in each round.
        engine: `fast` or `reference`.
        judge_seed: from which the rounds' seeds were derived.
        preview: fewer epochs or rounds than the challenge's.
        deviations: how this judgement differs from the protocol, one sentence each.
        device: torch device name.
        seconds: spent on the rounds.
    """

    mean: float
    std: float | None
    ci95: tuple[float, float] | None
    rounds: tuple[float, ...]
    per_class: tuple[float | None, ...]
    epochs: int
    passes: int
    engine: str
    judge_seed: int
    preview: bool
    deviations: tuple[str, ...]
    device: str
    seconds: float


def student_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float] | None:
    """The confidence interval of the mean of `values` by Student's t; None for a single value."""
    from scipy.stats import t

    if len(values) < 2:
        return None
    reach = float(t.ppf((1 + level) / 2, len(values) - 1)) * stdev(values) / sqrt(len(values))
    return fmean(values) - reach, fmean(values) + reach


def accuracy_interval(accuracies: Sequence[float]) -> tuple[float, float] | None:
    """The 95% interval of the mean of `accuracies`, kept within [0, 1], which few rounds can reach beyond."""
    interval = student_interval(accuracies)
    return None if interval is None else (max(interval[0], 0.0), min(interval[1], 1.0))


def check_judging(engine: str, rounds: int, epochs: int) -> None:
    """Raises ValueError for fewer than one round or epoch, or where there is no engine of this name."""
    get_engine(engine)
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, not {rounds}")
    Protocol(epochs=epochs)


def judge(
    train: ImageSet | NormalisedSet,
    test: ImageSet | NormalisedSet,
    challenge: Challenge,
    *,
    engine: str = "fast",
    rounds: int = FULL_ROUNDS,
    epochs: int = FULL_EPOCHS,
    judge_seed: int = 0,
    device: str = "cpu",
    on_progress: Callable[[Progress], None] | None = None,
    checkpoint: Path | None = None,
) -> Score:
    """Train the judge's network on `train` from scratch in each round, and score it on `test`.

    Args:
        train: images to judge, any number per class; uint8, or float32 that are normalised already.
        engine: `fast`, or `reference` for the protocol step by step in float32.
        rounds, epochs: fewer than the challenge's make a preview.
        judge_seed: the same on the same machine gives the same score.
        device, on_progress, checkpoint: as for `train_rounds`.

    Raises:
        ValueError: images or labels do not fit the challenge, fewer than one round or epoch, an unknown engine, a
            checkpoint of another judgement or one that cannot be written, or a training that came to NaN.
    """
    trained, arithmetic = train_some(
        train,
        test,
        challenge,
        range(rounds),
        engine=engine,
        rounds=rounds,
        epochs=epochs,
        judge_seed=judge_seed,
        device=device,
        on_progress=on_progress,
        checkpoint=checkpoint,
    )
    accuracies = tuple(each.accuracy for each in trained)
    known = (
        [a for a in of_class if a is not None] for of_class in zip(*(each.per_class for each in trained), strict=True)
    )
    fewer = []
    if epochs < FULL_EPOCHS:
        fewer.append(f"Preview: {epochs:,} epochs instead of {FULL_EPOCHS:,}.")
    if rounds < FULL_ROUNDS:
        fewer.append(f"Preview: {rounds} of {FULL_ROUNDS} rounds.")
    return Score(
        mean=fmean(accuracies),
        std=stdev(accuracies) if rounds > 1 else None,
        ci95=accuracy_interval(accuracies),
        rounds=accuracies,
        per_class=tuple(fmean(of_class) if of_class else None for of_class in known),
        epochs=epochs,
        passes=Protocol(epochs).passes,
        engine=engine,
        judge_seed=judge_seed,
        preview=bool(fewer),
        deviations=(*fewer, *arithmetic),
        device=device,
        seconds=sum(each.seconds for each in trained),
    )


def train_some(
    train: ImageSet | NormalisedSet,
    test: ImageSet | NormalisedSet,
    challenge: Challenge,
    indices: Sequence[int],
    *,
    engine: str,
    rounds: int,
    epochs: int,
    judge_seed: int,
    device: str,
    on_progress: Callable[[Progress], None] | None = None,
    checkpoint: Path | None = None,
) -> tuple[list[Round], tuple[str, ...]]:
    """Of a judgement's `rounds` train those with these indices, from 0; returns what `train_rounds` does.

    Checkpoints of several such parts can be joined (`join_checkpoints`). Arguments and errors are those of `judge`.
    """
    check_judging(engine, rounds, epochs)
    if checkpoint is not None:
        check_writable(checkpoint)

    def images() -> ImageSet | NormalisedSet:
        return train

    return train_rounds(
        [RoundJob(round_seed(judge_seed, index), images) for index in indices],
        len(train.labels),
        test,
        challenge,
        Protocol(epochs=epochs),
        engine=engine,
        device=device,
        pool=train,
        chance=f"judge seed {judge_seed}",
        judgement_rounds=rounds,
        checkpoint=checkpoint,
        on_progress=on_progress,
    )
