"""The baseline of `regress`: what is measured, what came out, and the file that keeps both."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, ValidationError

from evaluation.base.challenge import get_challenge
from evaluation.judge.score import Score
from harness.records.plausible import check_score
from harness.records.record import EndedBy
from harness.records.result_file import Part, ResultFile
from harness.run.options import RunOptions

Dataset = Literal["cifar100", "tiny-imagenet", "digits"]


class Task(Part):
    """What is measured: how images are made, at how many per class they are judged, and how.

    Attributes:
        budget_s: seconds; None for the data set's own.
        steps: None for `auto`.
        ipc: images per class to judge at; as many as the last are made.
        margin: percentage points, above 0; a smaller drop is none.
    """

    dataset: Dataset
    generator: str | None = None
    command: str | None = None
    trust: bool = False
    name: str | None = None
    weights: str | None = None
    settings: dict[str, str] = Field(default_factory=dict)
    steps: int | None = None
    pda: int = 1
    budget_s: float | None = None
    seed: int = 0
    ipc: tuple[int, ...] = (1, 10)
    rounds: int = 3
    epochs: int = 1000
    judge_seed: int = 0
    engine: Literal["fast", "reference"] = "fast"
    margin: float = 1.0

    def run_options(self, out: Path | None, device: str, data: Path | None) -> RunOptions:
        """The run that makes the images; nothing is judged in it. Raises ValueError as `RunOptions`."""
        return RunOptions(
            dataset=self.dataset,
            generator=self.generator,
            command=self.command,
            trust=self.trust,
            name=self.name,
            weights=self.weights,
            settings=self.settings,
            steps=self.steps,
            pda=self.pda,
            budget_s=self.budget_s,
            seed=self.seed,
            ipc=max(self.ipc),
            judged=False,
            out=out,
            device=device,
            data=data,
        )

    def changed(self, asked: Mapping[str, Any]) -> Task:
        """The same task with other values. Raises ValueError, a sentence, for one that is not allowed."""
        try:
            return Task.model_validate({**self.model_dump(), **asked})
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


class Measurement(ResultFile):
    """A task and what came out, as a baseline file and as `regress.json`.

    Attributes:
        ipc: images per class that the run gave, of which `least` in the class with the fewest.
        scores: by images per class; those that the run did not reach are missing.
        images_per_s: whole images over the time from process start to the generator's end.
        calibration: speed of the machine's parts, as `harness.cards.calibration` has it; None where not asked for.
        machine: the machine and versions, without its name.
    """

    called: ClassVar[str] = "baseline"

    task: Task
    generator: str
    outcome: str
    ended_by: EndedBy
    ipc: float
    least: int
    images_hash: str | None
    scores: dict[int, Score]
    images_per_s: float
    calibration: dict[str, float] | None
    machine: dict[str, Any]

    def check(self) -> None:
        """Raises ValueError, `where: what`, for what cannot be true."""
        super().check()
        challenge = get_challenge(self.task.dataset)
        if self.task.margin <= 0 or not self.task.ipc or min(self.task.ipc) < 1:
            raise ValueError("task: a margin is more than 0 percentage points, and an IPC at least 1")
        for ipc, score in self.scores.items():
            check_score(f"scores.{ipc}", score, challenge)

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """The baseline in `path`, None where there is no such file. Raises ValueError where it holds something else."""
        try:
            return cls.read(path)
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise ValueError(f"{error}; write a new one with --update") from None

    def rounds(self, ipc: int) -> dict[Hashable, float]:
        """The accuracies at `ipc` by engine and seed of the round."""
        from evaluation.judge.draws import round_seed

        score = self.scores[ipc]
        return {
            (score.engine, round_seed(score.judge_seed, index)): accuracy for index, accuracy in enumerate(score.rounds)
        }


def machine_facts(device: str) -> dict[str, Any]:
    """What stands beside a measurement."""
    from evaluation.base.machine import this_machine

    return asdict(this_machine(device))
