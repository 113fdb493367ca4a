"""The challenge's score: the mean of both data sets' accuracies, each made and judged on its own."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from pathlib import Path
from statistics import fmean, variance
from typing import ClassVar, Self

from pydantic import Field

from harness.records.record import Outcome, Record
from harness.records.result_file import Part, ResultFile


class ScoredRun(Part):
    """One of the runs, as its own record has it. `accuracy` is null where there was nothing to judge, or nobody did."""

    dataset: str
    generator: str
    # its folder, beside this file
    run: str
    outcome: Outcome
    budget_s: float
    ipc: float | None
    images_hash: str | None
    accuracy: float | None
    ci95: tuple[float, float] | None = None
    rounds: list[float] = Field(default_factory=list)
    epochs: int | None = None
    engine: str | None = None
    preview: bool = False
    failed_audits: list[str] = Field(default_factory=list)

    @classmethod
    def of(cls, record: Record, folder: str) -> ScoredRun:
        score = record.accuracy
        judged = (
            {
                "accuracy": score.mean,
                "ci95": score.ci95,
                "rounds": list(score.rounds),
                "epochs": score.epochs,
                "engine": score.engine,
                "preview": score.preview,
            }
            if score
            else {"accuracy": None}
        )
        return cls(
            dataset=record.dataset,
            generator=record.generator,
            run=folder,
            outcome=record.outcome,
            budget_s=record.budget_s,
            ipc=record.ipc.mean if record.ipc else None,
            images_hash=record.images_hash,
            failed_audits=[audit.name for audit in record.audits if audit.status == "fail"],
            **judged,
        )


class ChallengeScore(ResultFile):
    """`OUT/score.json` of `--dataset all`. Accuracies are fractions.

    `score` is null, and `missing` says why, unless every run was judged. `ci95` is null where one had a single round.
    A score whose runs failed an audit, or are previews, is marked like an accuracy: `failed_audits`, `preview`.
    """

    called: ClassVar[str] = "score of `--dataset all`"

    runs: list[ScoredRun]
    score: float | None
    ci95: tuple[float, float] | None
    preview: bool
    failed_audits: list[str]
    missing: list[str]
    versions: dict[str, str]
    commit: str | None
    command: list[str]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises ValueError, one sentence, where it is missing or something else."""
        try:
            return cls.read(path)
        except (FileNotFoundError, NotADirectoryError):
            raise ValueError(f"there is no score of `--dataset all` at {path}; give the folder that it made") from None


def mean_of_means(rounds: Sequence[Sequence[float]]) -> tuple[float, tuple[float, float] | None]:
    """The mean of several means and its 95% interval, by Welch's degrees of freedom; None where one has a single value.

    Args:
        rounds: independent accuracies of each, fractions.
    """
    mean = fmean(map(fmean, rounds))
    if min(map(len, rounds)) < 2:
        return mean, None
    from scipy.stats import t

    errors = [variance(each) / len(each) / len(rounds) ** 2 for each in rounds]
    if not sum(errors):
        return mean, (mean, mean)
    freedom = sum(errors) ** 2 / sum(
        error**2 / (len(each) - 1) for error, each in zip(errors, rounds, strict=True) if error
    )
    reach = float(t.ppf(0.975, freedom)) * sqrt(sum(errors))
    return mean, (max(mean - reach, 0.0), min(mean + reach, 1.0))


def challenge_score(
    runs: Sequence[ScoredRun],
    wanted: Sequence[str],
    versions: dict[str, str],
    commit: str | None,
    command: Sequence[str],
) -> ChallengeScore:
    """The score of `runs`, as far as they are done; `wanted` are the folders of all that belong to it."""
    judged = [each for each in runs if each.accuracy is not None]
    missing = [name for name in wanted if name not in {each.run for each in judged}]
    score, ci95 = (None, None) if missing else mean_of_means([each.rounds for each in judged])
    return ChallengeScore(
        runs=list(runs),
        score=score,
        ci95=ci95,
        preview=any(each.preview for each in judged),
        failed_audits=[f"{each.run}: {name}" for each in runs for name in each.failed_audits],
        missing=missing,
        versions=versions,
        commit=commit,
        command=list(command),
    )
