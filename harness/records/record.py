"""The typed, versioned result of a run, as JSON. Others build on these keys: add freely, never rename.

Accuracies are fractions in [0, 1]; times are seconds; `started, deadline, ended` are CLOCK_MONOTONIC.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from evaluation.audits.audit import Audit
from evaluation.base.challenge import get_challenge
from evaluation.base.machine import Machine
from evaluation.base.untrusted import printable
from evaluation.curve.real_equivalent import RealEquivalent
from evaluation.judge.score import Score
from harness.cards.other_card import PartSpeed, get_card
from harness.clock.ledger import Ledger
from harness.gpu.telemetry import GpuSummary
from harness.records.plausible import check_audits, check_ipc, check_score, check_times
from harness.records.result_file import Part, ResultFile

RULE = "process-start"
# what ended generation: the clock, the cap on images per class, the end of a selection, or the program itself
EndedBy = Literal["clock", "ipc", "exhausted", "program", "interrupt"]


class Outcome(StrEnum):
    """How generation ended; judging has no part in it."""

    OK = "ok"
    DEADLINE_TRUNCATED = "deadline_truncated"
    CRASHED = "crashed"
    OUT_OF_MEMORY = "out_of_memory"
    NO_IMAGES = "no_images"
    INVALID_OUTPUT = "invalid_output"
    INTERRUPTED = "interrupted"


class ClockPart(Part):
    """The harness's clock. `rule` says what counts: from process start to the last file on disk."""

    rule: str = RULE
    started_at: str  # UTC, ISO 8601
    started: float
    deadline: float
    ended: float
    ended_by: EndedBy
    # how the generator's processes were contained: a cgroup, or their session and descendants
    isolation: str
    # what a `--command` was kept from: network, processes, data; null where it was kept from nothing
    confined: list[str] | None = None
    # processes that outlived the generator's main process and were killed when it ended
    stragglers: int = 0
    # whether compile caches were empty; null where nothing is compiled
    cold: bool | None = None
    ledger: Ledger


class IpcPart(Part):
    """Complete, readable images per class, including augmented copies."""

    mean: float
    min: int
    max: int
    # near-copies counted once; null where no audit has counted them
    distinct: float | None = None
    # those that the generator made; null where no copies were asked for
    generated: float | None = None


class PlanPart(Part):
    """What the run was to do with the budget."""

    steps: int | None
    batch_size: int | None
    predicted_ipc: float | None
    # [low, high] around it
    predicted_ipc_interval: tuple[float, float] | None = None
    # whether steps and settings were chosen by `tune` for this budget
    tuned: bool = False


class FilesPart(Part):
    """Files in the output folder that were not counted."""

    dropped: int = 0
    half_written: int = 0
    # files and folders that were never images; they count for nothing
    not_images: int = 0
    examples: list[str] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)


class BaselinePart(Part):
    """Random real training images under the same protocol: what the accuracy is compared with."""

    ipc: float
    accuracy: Score


class ThroughputPart(Part):
    """`images_per_s`: complete images over all of `ended - started`, including loading."""

    images_per_s: float


class OtherCardPart(Part):
    """Another card's budget on this machine (`docs/other-cards.md`): the run is an estimate of that card's."""

    card: str = Field(alias="as")
    # this machine's speed over that card's; more than 1 is faster
    ratio: float
    interval: tuple[float, float]
    # that card's budget, and how long it lasts here: the record's `budget_s`
    budget: float
    scaled_budget: float
    device: str
    parts: dict[str, PartSpeed]


class MachinePart(Part):
    """The host, without its name; cores and memory as its container may use them."""

    cpu: str
    cores: int
    memory_gb: float
    # docker, podman or apptainer; null outside of one
    container: str | None = None


class GeneratorPart(Part):
    """What the generator declares of itself."""

    summary: str
    external_data: str
    pretrained: str
    weights_from: str
    licence: str
    copies: bool = False


class Record(ResultFile):
    """`RUN/record.json`."""

    called: ClassVar[str] = "record"

    dataset: str
    generator: str
    declared: GeneratorPart | None
    settings: dict[str, Any]
    seed: int
    outcome: Outcome
    # one sentence on the outcome where there is something to say
    detail: str | None = None
    budget_s: float
    clock: ClockPart | None
    images: int = 0
    # images made and then dropped, which former versions could do; null since
    dropped: int | None = None
    images_hash: str | None = None
    ipc: IpcPart | None = None
    plan: PlanPart
    # the stored profile that was used, as in `planning.profile`; or `{"source": "trial", ...}` of trials on the clock
    profile: dict[str, Any] | None = None
    files: FilesPart = FilesPart()
    # [seconds since the start, complete images by then], thinned to a few hundred points
    images_over_time: list[tuple[float, int]] = Field(default_factory=list)
    audits: list[Audit] = Field(default_factory=list)
    accuracy: Score | None = None
    # where `python -m evaluation` audited and judged it afterwards; null where the run itself did
    judged_on: Machine | None = None
    baseline: BaselinePart | None = None
    # how many random real images per class give this accuracy; null where no curve was measured with as many epochs,
    # or the accuracy lies above it
    real_equivalent_ipc: float | None = None
    # the same with its interval; null where no curve was measured with as many epochs
    real_equivalent: RealEquivalent | None = None
    throughput: ThroughputPart | None = None
    gpu: GpuSummary | None = None
    # set where the budget was another card's
    other_card: OtherCardPart | None = None
    machine: MachinePart
    # how often generating was begun anew, each time with a new clock, as its machine was lost (`bench --engine ray`)
    restarts: int = 0
    versions: dict[str, str]
    commit: str | None
    command: list[str]

    def check(self) -> None:
        """Raises ValueError, `where: what`, for what cannot be true, so that whoever shows a record need not look."""
        super().check()
        challenge = get_challenge(self.dataset)
        if not self.generator or printable(self.generator) != self.generator:
            raise ValueError(f"generator: {printable(self.generator)!r} is no name")
        if self.budget_s <= 0:
            raise ValueError("budget_s: a run has more than 0 seconds")
        if self.clock:
            check_times(self.clock.started_at, self.clock.started, self.clock.ended)
        if self.ipc:
            check_ipc(self.ipc.mean, self.ipc.min, self.ipc.max)
            copies = self.settings.get("pda")
            if self.ipc.generated is not None and not (isinstance(copies, int) and copies >= 1):
                raise ValueError("settings.pda: it made augmented copies, and does not say how many")
        if self.accuracy:
            check_score("accuracy", self.accuracy, challenge)
        if self.baseline:
            check_score("baseline.accuracy", self.baseline.accuracy, challenge)
        if (self.accuracy and self.ipc and not self.ipc.mean) or (self.baseline and not self.baseline.ipc):
            raise ValueError("ipc: an accuracy without images")
        check_audits(self.audits, challenge, self.images)
        if self.other_card:
            get_card(self.other_card.card)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises ValueError where it is missing, of another schema, no record, or one that cannot be true."""
        try:
            return cls.read(path)
        except (FileNotFoundError, NotADirectoryError):
            raise ValueError(f"there is no record at {path}; give the folder of a run") from None
