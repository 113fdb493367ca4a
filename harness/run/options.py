"""What a user asked of `run`, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from evaluation.base.challenge import Challenge, get_challenge
from harness.cards.other_card import get_card
from submission.contract.generator import get_generator
from submission.worker.keeping import check_keep
from submission.worker.pda import check_pda

COMMAND = "command"
WITH_WEIGHTS = "native"  # the generator that weights are for where none is named
_USUAL = ("matched", "gaussian")
_OTHERWISE = {"digits": ("native", "matched", "gaussian")}


def defaults(challenge_name: str) -> tuple[str, ...]:
    """The project's own generators, the best on held-out training images first (docs/accuracy.md)."""
    return _OTHERWISE.get(challenge_name, _USUAL)


def default_generator(challenge: Challenge) -> str:
    """The first of them whose weights are shipped for `challenge`; the last makes do without."""
    *trained, last = defaults(challenge.name)
    for name in trained:
        try:
            get_generator(name).find_weights(challenge, None)
        except ValueError:
            continue
        return name
    return last


@dataclass(frozen=True)
class RunOptions:
    """One run; `None` stands for the default of the challenge or of the generator.

    Attributes:
        dataset: name of the challenge.
        generator: name of a generator; exclusive with `command`.
        command: anybody's program, with placeholders; split as a shell would, but no shell runs.
        budget_s: seconds; the challenge's by default.
        steps: denoising steps.
        batch_size: images per call of the generator.
        ipc: images per class to stop at: a number, "none" for as many as the clock allows, None for the
            challenge's cap.
        pda: images in all for each generated one, the others augmented copies of it.
        data: folder of the real data sets.
        out: folder of the run; it must not exist yet unless `resume`.
        seed: makes the images. `judge_seed` makes the rounds.
        weights: a local file or folder of weights.
        settings: generator settings.
        keep: the share of the images made that is kept, the likeliest of their class; 1 for all.
        judged: whether to judge after generating.
        strict: whether a failed audit is fatal: exit code 1.
        grace_s: how much before the deadline a SIGTERM comes; 0 for none.
        as_card: the card whose budget is meant: this machine's is scaled to what that card would have done in it.
        resume: go on with a run that was interrupted after its images were made.
    """

    dataset: str
    generator: str | None = None
    command: str | None = None
    budget_s: float | None = None
    steps: int | None = None
    batch_size: int | None = None
    ipc: int | Literal["none"] | None = None
    pda: int = 1
    data: Path | None = None
    out: Path | None = None
    seed: int = 0
    weights: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    keep: float = 1.0
    device: str = "auto"
    grace_s: float = 0.0
    judged: bool = True
    strict: bool = False
    rounds: int = 3
    epochs: int = 1000
    engine: str = "fast"
    judge_seed: int = 0
    as_card: str | None = None
    resume: bool = False

    def __post_init__(self) -> None:
        if self.generator is not None and self.command is not None:
            raise ValueError("--generator and --command exclude each other; give one of them")
        if self.command is not None:
            for name, value in (
                ("--steps", self.steps),
                ("--batch-size", self.batch_size),
                ("--weights", self.weights),
                ("--pda", self.pda if self.pda != 1 else None),
                ("--keep", None if self.keep == 1 else self.keep),
            ):
                if value is not None:
                    raise ValueError(f"{name} is for the project's own generators; put it into --command itself")
        for name, number in (("--steps", self.steps), ("--batch-size", self.batch_size), ("--rounds", self.rounds)):
            if number is not None and number < 1:
                raise ValueError(f"{name} must be at least 1, not {number}")
        check_pda(self.pda)
        check_keep(self.keep)
        if self.epochs < 1:
            raise ValueError(f"--epochs must be at least 1, not {self.epochs}")
        if isinstance(self.ipc, int) and self.ipc < 1:
            raise ValueError(f"--ipc must be at least 1, or `none` for as many as the clock allows, not {self.ipc}")
        if self.grace_s < 0 or self.grace_s >= self.budget:
            raise ValueError(f"--grace must be less than the budget of {self.budget:g} s, not {self.grace_s:g} s")
        get_challenge(self.dataset)
        if self.as_card is not None:
            get_card(self.as_card)
            if self.resume:
                raise ValueError("--as is for a new run; the one to resume has had its budget")

    @property
    def challenge(self) -> Challenge:
        return get_challenge(self.dataset)

    @property
    def budget(self) -> float:
        """Seconds."""
        return self.challenge.budget_s if self.budget_s is None else self.budget_s

    @property
    def ipc_cap(self) -> int | None:
        """Images per class to stop at, None for as many as the clock allows."""
        if self.ipc is None:
            return self.challenge.ipc_cap
        return None if self.ipc == "none" else self.ipc

    @property
    def generator_name(self) -> str:
        """The name that the record carries."""
        if self.command is not None:
            return COMMAND
        return self.generator or (WITH_WEIGHTS if self.weights is not None else default_generator(self.challenge))
