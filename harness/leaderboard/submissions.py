"""Which submission a run is of, in which track it competes, and how it was judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import PurePath

from evaluation.base.durations import show_duration
from evaluation.base.untrusted import printable
from evaluation.judge.protocol import FULL_EPOCHS, FULL_ROUNDS
from harness.cards.other_card import get_card
from harness.records.record import Record
from harness.report.sentences import preview_words
from harness.report.standings import is_copying
from harness.run.options import COMMAND, IMAGE

COPYING, GENERATING = "copying", "generating"
# of runs of both data sets that name no generator: each data set has a default of its own
DEFAULT = "default"
_CHOICES = ("--generator", "--weights", "--command", "--image")
# options of `run` that make another submission of the same generator, and how people read them
_OPTIONS = {
    "--set": "{}",
    "--steps": "steps {}",
    "--pda": "PDA {}",
    "--ipc": "IPC {}",
    "--batch-size": "batch {}",
    "--prompts": "prompts {}",
    "--weights": "weights {}",
}
_DEFAULTS = {("--steps", "auto"), ("--pda", "1")}
LONGEST = 100  # characters of one setting
_FILES = ("--prompts", "--weights")


@dataclass(frozen=True)
class Track:
    """What must be the same for two submissions to compete.

    Attributes:
        league: `generating`, or `copying` for what writes training images or parts of them.
        budget_s: seconds; of the other card where a run stands for one.
        rule: what the clock counts.
        card: the GPU, or the processor where there is none.
    """

    league: str
    budget_s: float
    rule: str
    card: str

    @property
    def order(self) -> tuple[bool, float, str, str]:
        """To sort by: what generates before what copies."""
        return self.league == COPYING, -self.budget_s, self.rule, self.card

    @property
    def words(self) -> str:
        copying = ", copying training images" if self.league == COPYING else ""
        return f"{self.card}, {show_duration(self.budget_s)} from {self.rule}{copying}"


@dataclass(frozen=True, order=True)
class Judging:
    """How a run was judged; `rounds` are those of the protocol at most."""

    epochs: int
    rounds: int
    engine: str

    @property
    def full(self) -> bool:
        """Whether it was by the challenge's protocol."""
        return self.epochs == FULL_EPOCHS and self.rounds == FULL_ROUNDS

    @property
    def words(self) -> str:
        """`full protocol`, or what is other than there; the engine where it is not the usual one."""
        told = "full protocol" if self.full else preview_words(self.epochs, self.rounds)
        told = told or f"{self.epochs:,} epochs instead of {FULL_EPOCHS:,}"
        return told if self.engine == "fast" else f"{told}, {self.engine} engine"


def submission_of(record: Record) -> str:
    """What makes a run one of the same submission: the generator and the settings asked for.

    Read from the command, since what a profile, `tune` or the weights decide differs from one data set to another. A
    data set's name within the name of a file counts as the same in all of them.
    """
    told = [] if record.generator not in (COMMAND, IMAGE) else [_program(record)]
    told += ["tuned"] if record.plan.tuned else []
    for option, words in _OPTIONS.items():
        for value in sorted(asked(record.command, option)):
            if (option, value) not in _DEFAULTS:
                value = PurePath(value).name if option in _FILES else value
                told.append(_short(words.format(_any_dataset(value, record.dataset))))
    name = DEFAULT if _is_default_of_all(record.command) else record.generator
    return f"{name} ({', '.join(told)})" if told else name


def _is_default_of_all(command: Sequence[str]) -> bool:
    chosen = any(True for option in _CHOICES for _ in asked(command, option))
    return "all" in asked(command, "--dataset") and not chosen


def _program(record: Record) -> str:
    """What a program without a name is told apart by."""
    text = str(record.settings.get(record.generator, ""))
    return _short(_any_dataset(text, record.dataset))


def _short(text: str) -> str:
    """One line, and never the same for two texts."""
    if len(text) <= LONGEST:
        return printable(text, 6 * LONGEST)
    return f"{printable(text[: LONGEST - 10])}... {blake2b(text.encode(), digest_size=3).hexdigest()}"


def _any_dataset(text: str, dataset: str) -> str:
    return text.replace(dataset, "{dataset}").replace(dataset.replace("-", "_"), "{dataset}")


def asked(command: Sequence[str], option: str) -> Iterator[str]:
    """The values of `option` in a command, as `--option VALUE` or `--option=VALUE`."""
    for word, following in zip(command, [*command[1:], ""], strict=False):
        if word == option:
            yield following
        elif word.startswith(f"{option}="):
            yield word.partition("=")[2]


def track_of(record: Record) -> Track:
    """The track of a run that has a clock."""
    assert record.clock is not None, "what counts has a clock"
    other = record.other_card
    return Track(
        COPYING if is_copying(record) else GENERATING,
        other.budget if other else record.budget_s,
        printable(record.clock.rule),
        printable(_card(record)),
    )


def _card(record: Record) -> str:
    if record.other_card:
        return f"{get_card(record.other_card.card).title}, estimated"
    if record.gpu:
        return record.gpu.name if record.gpu.count == 1 else f"{record.gpu.count} x {record.gpu.name}"
    machine = record.machine
    return f"{machine.cpu}, {machine.cores} core{'s' if machine.cores != 1 else ''}"


def judging_of(record: Record) -> Judging:
    """How a judged run was judged."""
    assert record.accuracy is not None, "what counts was judged"
    score = record.accuracy
    return Judging(score.epochs, min(len(score.rounds), FULL_ROUNDS), score.engine)
