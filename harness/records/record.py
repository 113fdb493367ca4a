"""The typed result of a run, versioned, as JSON. Others build on these keys: add freely, rename never.

Accuracies are fractions in [0, 1]; times are seconds; `started, deadline, ended` are CLOCK_MONOTONIC.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evaluation.base.files import write_text

SCHEMA = 1
RULE = "process-start"


class Outcome(StrEnum):
    """How generation ended; judging has no part in it."""

    OK = "ok"
    DEADLINE_TRUNCATED = "deadline_truncated"
    CRASHED = "crashed"
    OUT_OF_MEMORY = "out_of_memory"
    NO_IMAGES = "no_images"
    INVALID_OUTPUT = "invalid_output"
    INTERRUPTED = "interrupted"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LedgerPart(_Part):
    """Where the time went. The phases do not overlap and sum to `ended - started`; `killed_after_s` stands beside."""

    load: float = 0.0
    warmup: float = 0.0
    profile: float = 0.0
    generate: float = 0.0
    write: float = 0.0
    idle: float = 0.0
    # seconds past the deadline at which the last process was dead; null where nothing had to be killed
    killed_after_s: float | None = None


class ClockPart(_Part):
    """The harness's clock. `rule` says what counts: from process start to the last file on disk."""

    rule: str = RULE
    started_at: str  # UTC, ISO 8601
    started: float
    deadline: float
    ended: float
    # what ended generation: the clock, the cap on images per class, the choices running out, or the program itself
    ended_by: Literal["clock", "ipc", "exhausted", "program", "interrupt"]
    # how the generator's processes were held: a cgroup, or their session and descendants
    isolation: str
    # processes that outlived the generator's main process and were killed when it ended
    stragglers: int = 0
    # whether compile caches were empty; null where nothing is compiled
    cold: bool | None = None
    ledger: LedgerPart


class IpcPart(_Part):
    """Whole readable images per class, augmented copies among them.

    `distinct` counts near-copies once, null where no audit has counted; `generated` are those that the generator made,
    null where no copies were asked for.
    """

    mean: float
    min: int
    max: int
    distinct: float | None = None
    generated: float | None = None


class PlanPart(_Part):
    """What was meant to be done with the budget."""

    steps: int | None
    batch_size: int | None
    predicted_ipc: float | None
    # [low, high] around it
    predicted_ipc_interval: tuple[float, float] | None = None
    # whether steps and settings come from a plan that `tune` kept for this budget
    tuned: bool = False


class FilesPart(_Part):
    """What lay in the output folder and was not counted."""

    dropped: int = 0
    half_written: int = 0
    examples: list[str] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)


class AuditPart(_Part):
    """One audit's finding."""

    name: Literal["class_order", "leakage", "duplicates", "diversity", "balance", "pixels", "files"]
    status: Literal["pass", "warn", "fail"]
    evidence: str
    numbers: dict[str, Any]


class AccuracyPart(_Part):
    """The score. `std` has ddof 1; `ci95` is [low, high] by Student's t over rounds; both null for one round."""

    mean: float
    std: float | None
    ci95: tuple[float, float] | None
    rounds: list[float]
    # by label; null for a class without test images
    per_class: list[float | None]
    epochs: int
    passes: int
    engine: str
    # fewer than 1,000 epochs or 3 rounds
    preview: bool
    judge_seed: int
    device: str
    seconds: float
    # what differs from the protocol, in sentences
    deviations: list[str] = Field(default_factory=list)


class BaselinePart(_Part):
    """Random real training images under the same protocol: what the accuracy is held against."""

    ipc: float
    accuracy: AccuracyPart


class RealEquivalentPart(_Part):
    """How many random real images per class are worth as much, read off the shipped curve of as many epochs."""

    # null above the last point measured
    ipc: float | None
    # an end is null above the last point; the whole is null where a single round leaves nothing to make it from
    ci95: tuple[float | None, float | None] | None
    # the last point measured
    highest: float


class ThroughputPart(_Part):
    """`images_per_s`: whole images over the whole of `ended - started`, loading included."""

    images_per_s: float


class GpuPart(_Part):
    """The card that generated, sampled while the clock ran; null for what its driver does not tell."""

    name: str
    driver: str | None = None
    # cards that the generator could see; `present` in the machine
    count: int
    # held back by heat, a hardware slowdown, a power brake, or a power limit that somebody had lowered
    throttled: bool | None = None
    # processes that are not the run's computed on the card
    others_present: bool | None = None
    present: int | None = None
    memory_gb: float | None = None
    power_limit_w: float | None = None
    default_power_limit_w: float | None = None
    samples: int = 0
    clock_mhz_median: float | None = None
    clock_mhz_max: float | None = None
    power_w_mean: float | None = None
    power_w_max: float | None = None
    temperature_c_max: float | None = None
    memory_gb_max: float | None = None
    # part of the time in which it computed, in [0, 1]
    utilisation_mean: float | None = None
    # part of the samples; `limits` by reason, those that are no throttling among them
    throttled_share: float | None = None
    limits: dict[str, float] = Field(default_factory=dict)


class SpeedPart(_Part):
    """One part of the work: measured here, and what another card reaches, as published and assumed."""

    unit: str
    here: float
    there: float
    # here over there, with the ends that follow from what part of the published figure programs reach
    ratio: float
    low: float
    high: float


class OtherCardPart(_Part):
    """Another card's budget on this machine (`docs/other-cards.md`): the run is an estimate of that card's."""

    card: str = Field(alias="as")
    # this machine's speed over that card's; more than 1 is faster
    ratio: float
    interval: tuple[float, float]
    # that card's budget, and how long it lasts here: the record's `budget_s`
    budget: float
    scaled_budget: float
    device: str
    parts: dict[str, SpeedPart]

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True)


class MachinePart(_Part):
    """The host, without its name."""

    cpu: str
    cores: int
    memory_gb: float


class GeneratorPart(_Part):
    """What the generator declares of itself."""

    summary: str
    external_data: str
    pretrained: str
    weights_from: str
    licence: str
    copies: bool = False


class Record(_Part):
    """`RUN/record.json`."""

    # `schema` on disk; the name is taken in pydantic
    version: int = Field(default=SCHEMA, alias="schema")
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
    # a profile that was at hand, as `planning.profile` keeps it; or `{"source": "trial", ...}` of trials on the clock
    profile: dict[str, Any] | None = None
    files: FilesPart = FilesPart()
    # [seconds since the start, whole images by then], thinned to a few hundred points
    images_over_time: list[tuple[float, int]] = Field(default_factory=list)
    audits: list[AuditPart] = Field(default_factory=list)
    accuracy: AccuracyPart | None = None
    baseline: BaselinePart | None = None
    # how many random real images per class give this accuracy; null where no curve was measured with as many epochs,
    # or the accuracy lies above it
    real_equivalent_ipc: float | None = None
    # the same with its interval; null where no curve was measured with as many epochs
    real_equivalent: RealEquivalentPart | None = None
    throughput: ThroughputPart | None = None
    gpu: GpuPart | None = None
    # set where the budget was another card's
    other_card: OtherCardPart | None = None
    machine: MachinePart
    versions: dict[str, str]
    commit: str | None
    command: list[str]

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True)

    def save(self, path: Path) -> None:
        """Write it whole or not at all."""
        write_text(path, self.to_json() + "\n")

    def to_json(self) -> str:
        return self.model_dump_json(by_alias=True, indent=2)

    @classmethod
    def load(cls, path: Path) -> Record:
        """Read a record.

        Raises:
            ValueError: it is missing, of another schema or no record; one sentence.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise ValueError(f"there is no record at {path}; give the folder of a run") from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise ValueError(f"{path} is no record of schema {SCHEMA}: {where}: {first['msg']}") from None
