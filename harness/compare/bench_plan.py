"""What `bench` compares: entries x data sets x budgets x seeds, from options or a YAML file with the same keys."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from evaluation.base.challenge import get_challenge
from evaluation.base.durations import parse_duration
from evaluation.base.files import read_text
from harness.records.result_file import Part
from harness.run.options import is_name
from submission.contract.generator import get_generator


def _dataset(name: str) -> str:
    return get_challenge(name).name


def _generator(name: str) -> str:
    get_generator(name)
    return name


def _name(name: str) -> str:
    if not is_name(name):
        raise ValueError(f"{name!r} must be letters, digits, dots, dashes and underscores, 64 at most")
    return name


def _seconds(value: Any) -> float:
    return parse_duration(str(value))


class Entry(Part):
    """One competitor: a generator, or anybody's program or container image.

    Attributes:
        name: in tables and pages; a generator's own by default.
        trust: not to shut a command in, as for `run`.
    """

    generator: Annotated[str, AfterValidator(_generator)] | None = None
    command: str | None = None
    image: str | None = None
    trust: bool = False
    name: Annotated[str, AfterValidator(_name)] | None = None
    weights: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    steps: int | None = Field(default=None, ge=1)
    pda: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _one_kind(self) -> Entry:
        own = self.command is None and self.image is None
        if (self.generator is None) is own:
            raise ValueError("give a generator, or a command or image")
        if not own and self.name is None:
            raise ValueError("a command or image needs a name")
        if self.trust and (self.command is None or self.image is not None):
            raise ValueError("trust is for a command alone")
        if not own and (self.weights or self.settings or self.steps or self.pda != 1):
            raise ValueError("weights, settings, steps and pda are for generators; put them into the command")
        return self

    @property
    def title(self) -> str:
        return self.name or self.generator or ""

    def arguments(self) -> list[str]:
        """Its options of `run`."""
        told = []
        for option in ("generator", "command", "image", "weights", "steps"):
            if (value := getattr(self, option)) is not None:
                told += [f"--{option}", str(value)]
        if self.generator is None:
            told += ["--name", self.title, *(["--trust"] if self.trust else [])]
        for name, value in sorted(self.settings.items()):
            told += ["--set", f"{name}={value}"]
        return told + (["--pda", str(self.pda)] if self.pda != 1 else [])


def _entry(value: Any) -> Any:
    return {"generator": value} if isinstance(value, str) else value


class Plan(Part):
    """The schema of a plan's file.

    Attributes:
        generators: names, or objects as `Entry`.
        budgets: seconds; None for each data set's own.
        seeds: how many, from 0, or which.
        rounds, epochs, engine, judge_seed: of the judge; seed i of the images is judged from seed judge_seed + i.
    """

    generators: tuple[Annotated[Entry, BeforeValidator(_entry)], ...] = Field(min_length=1)
    datasets: tuple[Annotated[str, AfterValidator(_dataset)], ...] = Field(min_length=1)
    budgets: tuple[Annotated[float, BeforeValidator(_seconds)], ...] | None = Field(default=None, min_length=1)
    seeds: Annotated[int, Field(ge=1)] | tuple[int, ...] = 1
    ipc: Annotated[int, Field(ge=1)] | Literal["none"] | None = None
    rounds: int = Field(default=3, ge=1)
    epochs: int = Field(default=1000, ge=1)
    engine: Literal["fast", "reference"] = "fast"
    judge_seed: int = 0

    @model_validator(mode="after")
    def _names_differ(self) -> Plan:
        names = [entry.title for entry in self.generators]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two entries are called {twice[0]}; give one of them a name of its own")
        return self

    @property
    def seed_numbers(self) -> tuple[int, ...]:
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds

    def cells(self) -> Iterator[Cell]:
        """Every run, seed by seed, so that an early end leaves all entries with as many."""
        for seed in self.seed_numbers:
            for dataset in self.datasets:
                for budget_s in self.budgets or (get_challenge(dataset).budget_s,):
                    for entry in self.generators:
                        judging = self._judging(seed)
                        options = (*entry.arguments(), *judging, *self._cap())
                        yield Cell(entry.title, dataset, budget_s, seed, options, judging, self.rounds)

    def _judging(self, seed: int) -> tuple[str, ...]:
        told = ("--rounds", str(self.rounds), "--epochs", str(self.epochs))
        return (*told, "--engine", self.engine, "--judge-seed", str(self.judge_seed + seed))

    def _cap(self) -> tuple[str, ...]:
        return () if self.ipc is None else ("--ipc", str(self.ipc))


@dataclass(frozen=True)
class Cell:
    """One run: an entry on a data set with a budget and a seed.

    Attributes:
        options: the others of its `run`.
        judging: those of them that say how it is judged.
        rounds: of its judgement.
    """

    name: str
    dataset: str
    budget_s: float
    seed: int
    options: tuple[str, ...]
    judging: tuple[str, ...]
    rounds: int

    @property
    def folder(self) -> str:
        """The name of its folder, which changes with anything that changes the run."""
        told = json.dumps([self.dataset, self.budget_s, self.seed, self.options])
        mark = blake2b(told.encode(), digest_size=3).hexdigest()
        return f"{self.dataset}-{self.budget_s:g}s-{self.name}-seed{self.seed}-{mark}"

    def arguments(self) -> list[str]:
        """Of `python -m harness run`."""
        return ["--dataset", self.dataset, "--budget", f"{self.budget_s}s", "--seed", str(self.seed), *self.options]


def make_plan(content: Any) -> Plan:
    """Raises ValueError, one sentence, for what does not fit the schema."""
    try:
        return Plan.model_validate(content)
    except ValidationError as error:
        where, sentence = _first(error)
        raise ValueError(f"{'.'.join(map(str, where))}: {sentence}" if where else sentence) from None


def read_plan(path: Path) -> Plan:
    """A plan from YAML. Raises ValueError for what is wrong; the sentence names the line."""
    text = read_text(path)
    try:
        tree, content = yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ValueError(f"{path}{line}: {getattr(error, 'problem', None) or 'it is no YAML'}") from None
    try:
        return Plan.model_validate(content)
    except ValidationError as error:
        where, sentence = _first(error)
        key = f"{'.'.join(map(str, where))}: " if where else ""
        raise ValueError(f"{path}, line {line_of(tree, where)}: {key}{sentence}") from None


def line_of(tree: Any, where: Sequence[str | int]) -> int:
    """The line of the value at `where` in a composed YAML tree, or of the last key on the way that is there."""
    node, line = tree, tree.start_mark.line + 1 if tree else 1
    for part in where:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:  # which kind of value pydantic tried
            continue
    return line


def _first(error: ValidationError) -> tuple[tuple[str | int, ...], str]:
    first = error.errors()[0]
    sentence = first["msg"].removeprefix("Value error, ")
    return first["loc"], sentence
