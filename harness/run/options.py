"""The options of `run`, and what `profile` and `tune` share with it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

from typer import Option

from evaluation.base.challenge import Challenge, get_challenge
from evaluation.base.command_line import (
    Data,
    Dataset,
    Device,
    Engine,
    Epochs,
    JudgeSeed,
    Options,
    Rounds,
    Strict,
    declared,
    flag,
    parse_whole,
)
from evaluation.base.durations import parse_duration
from harness.cards.other_card import get_card
from harness.run.default_generators import WITH_WEIGHTS, default_generator
from submission.contract.generator import get_generator

ALL = "all"
CHALLENGES = ("cifar100", "tiny-imagenet")  # whose mean accuracy is the challenge's score
COMMAND = "command"
IMAGE = "image"


def parse_ipc(text: str) -> int | Literal["none"]:
    """`none` or a whole number. Raises ValueError for anything else."""
    return "none" if text == "none" else parse_whole(text)


def parse_steps(text: str) -> int | None:
    """`auto` as None, or a whole number. Raises ValueError for anything else."""
    return None if text == "auto" else parse_whole(text)


def parse_settings(pairs: list[str]) -> dict[str, str]:
    """`NAME=VALUE` pairs. Raises ValueError for a pair without `=` and for a name given twice."""
    settings: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ValueError(f"{pair!r} is not of the form NAME=VALUE")
        if name in settings:
            raise ValueError(f"{name} is given twice")
        settings[name] = value
    return settings


def is_name(text: str) -> bool:
    """Whether it can name a program: in folders, tables and pages."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text) is not None


@dataclass(frozen=True)
class GeneratorOptions(Options):
    """What `run`, `profile` and `tune` ask of a generator; None stands for the default."""

    dataset: Dataset
    generator: Annotated[
        str | None, Option(help="One that `generators` lists. Default: the best one shipped for the data set.")
    ] = None
    weights: Annotated[str | None, Option(help="A local file or folder of weights.")] = None
    settings: Annotated[
        Mapping[str, str], Option("--set", parser=parse_settings, help="A setting of the generator, NAME=VALUE.")
    ] = field(default_factory=dict)
    prompts: Annotated[
        Path | None,
        Option(help="Your own prompts for every class, a JSON object by class name or lines in order."),
    ] = None
    pda: Annotated[
        int, Option(help="Images in all for each generated one, the others augmented copies; the paper's: 5.")
    ] = 1
    budget_s: Annotated[
        float | None,
        Option("--budget", parser=parse_duration, help="Wall-clock budget: 600, 600s, 10m. Default: the data set's."),
    ] = None
    device: Device = "auto"
    data: Data = None

    def __post_init__(self) -> None:
        from submission.worker.pda import check_pda

        super().__post_init__()
        get_challenge(self.dataset)
        if self.generator is not None:
            get_generator(self.generator)
        check_pda(self.pda)
        if self.prompts is not None:  # read once, and from then on a setting like any other
            from submission.classes.prompts import prompts_setting, read_prompts

            if "prompts" in self.settings:
                raise ValueError("--prompts and --set prompts exclude each other; give one of them")
            prompts = prompts_setting(read_prompts(self.prompts, self.challenge), self.challenge)
            object.__setattr__(self, "settings", {**self.settings, "prompts": prompts})
            object.__setattr__(self, "prompts", None)

    @property
    def challenge(self) -> Challenge:
        return get_challenge(self.dataset)

    @property
    def budget(self) -> float:
        """Seconds."""
        return self.challenge.budget_s if self.budget_s is None else self.budget_s

    @property
    def generator_name(self) -> str:
        return self.generator or (WITH_WEIGHTS if self.weights is not None else default_generator(self.challenge))

    @property
    def default_ipc_cap(self) -> int:
        """Where the generator's record shows no further gain, and at most the challenge's limit."""
        useful, most = get_generator(self.generator_name).info.useful_ipc, self.challenge.ipc_cap
        return min(useful.get(self.dataset, most), most)


@dataclass(frozen=True)
class ImagesOptions(GeneratorOptions):
    """What `run` and `tune` ask of the images."""

    ipc: Annotated[
        int | Literal["none"] | None,
        Option(
            min=1,
            parser=parse_ipc,
            help="Stop at this many images per class, `none`: at the deadline. Default: where more gain nothing.",
        ),
    ] = None
    seed: Annotated[int, Option(help="Seed of the images.")] = 0

    @property
    def ipc_cap(self) -> int | None:
        """Images per class to stop at; None for as many as the clock allows."""
        return self.default_ipc_cap if self.ipc is None else None if self.ipc == "none" else self.ipc


@dataclass(frozen=True)
class RunOptions(ImagesOptions):
    """One run, or with the data set `all` one for each challenge."""

    dataset: Annotated[
        str, Option(help="cifar100, tiny-imagenet or digits; all: the first two, each on its own clock, and the score.")
    ]
    command: Annotated[
        str | None,
        Option(help="Anybody's program instead. Placeholders: {output} {dataset} {budget} {seed} {classes}."),
    ] = None
    collect: Annotated[
        str | None,
        Option(
            help="A .pt file that --command leaves instead of class folders, from the folder it starts in or {output}."
        ),
    ] = None
    trust: Annotated[
        bool, Option("--trust", help="Do not keep --command from the network, other processes and the real data.")
    ] = False
    image: Annotated[
        str | None,
        Option(help="Anybody's container image instead, shut in; --command then replaces the image's own command."),
    ] = None
    name: Annotated[
        str | None, Option(help="What a --command or an --image is called, in the record and everywhere.")
    ] = None
    steps: Annotated[
        int | None, Option(min=1, parser=parse_steps, show_default="auto", help="Denoising steps: auto or a number.")
    ] = None
    batch_size: Annotated[int | None, Option(min=1, help="Images per call of the generator.")] = None
    out: Annotated[Path | None, Option(help="Folder of the run. Default: runs/<time>-<dataset>-<generator>.")] = None
    grace_s: Annotated[
        float,
        Option("--grace", parser=parse_duration, help="Send SIGTERM this long before the deadline, e.g. 2s."),
    ] = 0.0
    judged: Annotated[bool, Option("--judge/--no-judge", help="Judge the images after generating.")] = True
    strict: Strict = False
    rounds: Rounds = 3
    epochs: Epochs = 1000
    engine: Engine = "fast"
    judge_seed: JudgeSeed = 0
    as_card: Annotated[
        str | None, Option("--as", help="Another card's budget, scaled to this machine: rtx4090 or rtx3090.")
    ] = None
    resume: Annotated[bool, Option(help="Go on judging the run in --out.")] = False

    def __post_init__(self) -> None:
        if self.dataset == ALL:
            self.parts(Path(ALL))  # each of which is checked
            return
        super().__post_init__()
        if self.generator is not None and not self.own:
            raise ValueError(
                f"--generator and {'--image' if self.image else '--command'} exclude each other; give one of them"
            )
        if self.name is not None and self.own:
            raise ValueError("--name is for a --command or an --image; the project's own generators have names")
        if self.name is not None and not is_name(self.name):
            raise ValueError(f"--name {self.name!r} must be letters, digits, dots, dashes and underscores, 64 at most")
        if not self.own:
            place = "the image" if self.image else "--command"
            for name in ("steps", "batch_size", "weights", "pda"):
                if getattr(self, name) not in (None, 1):
                    option = flag(name, declared(type(self))[name])
                    raise ValueError(f"{option} is for the project's own generators; put it into {place} itself")
        if self.collect is not None and (self.command is None or self.image is not None):
            raise ValueError("--collect is for --command alone; a container leaves its .pt file in its output folder")
        if self.trust and (self.command is None or self.image is not None):
            raise ValueError("--trust is for --command alone, which is shut in without it")
        if not 0 <= self.grace_s < self.budget:
            raise ValueError(f"--grace must be less than the budget of {self.budget:g} s, not {self.grace_s:g} s")
        if self.as_card is not None:
            get_card(self.as_card)
            if self.resume:
                raise ValueError("--as is for a new run; the one to resume has had its budget")

    def parts(self, root: Path) -> "tuple[RunOptions, ...]":
        """The runs of the data set `all`: one for each challenge, in folders of `root`."""
        return tuple(replace(self, dataset=name, out=root / name) for name in CHALLENGES)

    @property
    def own(self) -> bool:
        """Whether it is one of the project's own generators, or of its plugins, that runs."""
        return self.command is None and self.image is None

    @property
    def default_ipc_cap(self) -> int:
        return super().default_ipc_cap if self.own else self.challenge.ipc_cap

    @property
    def generator_name(self) -> str:
        """The name that the record carries."""
        if self.own:
            return super().generator_name
        return self.name or (IMAGE if self.image is not None else COMMAND)
