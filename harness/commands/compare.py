"""`compare`: is one submission better than another, and is that more than chance?"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from evaluation.base.command_line import ExitCode, Options

if TYPE_CHECKING:
    from harness.compare.comparison import Compared
    from harness.report.console import Voice

COLUMNS = ("", "data set", "limit", "A", "other", "points", "95% interval", "p")


@dataclass(frozen=True)
class CompareOptions(Options):
    """Options of `compare`."""

    submissions: Annotated[
        list[Path], Argument(help="A B ...: run folders, records, folders of runs, or curves. All go against A.")
    ]
    fail_below: Annotated[
        float | None, Option(help="Exit code 1 where a difference is below so many percentage points, e.g. -1.0.")
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.submissions) < 2:
            raise ValueError("compare needs two submissions at least: python -m harness compare A B")


def compare(options: CompareOptions, voice: Voice) -> ExitCode:
    """The difference of submissions with its 95% interval and p-value, paired where their seeds are the same."""
    from harness.compare import comparison
    from harness.compare.sides import read_side

    sides = [read_side(path) for path in options.submissions]
    found = comparison.compare(sides)
    below = [each for each in found if options.fail_below is not None and each.is_below(options.fail_below)]
    if voice.as_json:
        print(json.dumps([as_json(each) for each in found], indent=2))
    else:
        letters = {side.name: letter(number) for number, side in enumerate(sides)}
        for side in sides:
            voice.say(f"{letters[side.name]}: {side.name} ({side.of})")
        voice.table(COLUMNS, [row(each, letters) for each in found])
        for sentence in notes(found):
            voice.say(sentence)
    for each in below:
        voice.say(
            f"Below the limit: {each.b} has {100 * each.difference.estimate:+.2f} points against {each.a} at"
            f" {each.place.limit}, less than the {options.fail_below:+g} that --fail-below allows."
        )
    return ExitCode.REGRESSION if below else ExitCode.DONE


def as_json(each: Compared) -> dict[str, object]:
    """What `--json` prints of a comparison: fractions."""
    return {
        **asdict(each),
        "difference": {**asdict(each.difference), "ci95": each.difference.ci95, "p": each.difference.p},
    }


def letter(number: int) -> str:
    """A to Z, then numbers."""
    return chr(ord("A") + number) if number < 26 else str(number + 1)


def row(each: Compared, letters: dict[str, str]) -> tuple[str, ...]:
    """The cells of a comparison, in the order of `COLUMNS`."""
    from harness.report.sentences import format_interval, format_p, percent

    place, off = each.place, each.difference
    limit = place.limit if place.limit == each.limit_b else f"{place.limit} | {each.limit_b}"
    return (
        f"{letters[each.b]} - {letters[each.a]}",
        place.dataset,
        limit,
        percent(each.mean_a.accuracy),
        percent(each.mean_b.accuracy),
        f"{100 * off.estimate:+.2f}",
        format_interval(off.ci95, signed=True),
        format_p(each.p_corrected),
    )


def notes(found: list[Compared]) -> list[str]:
    """How the figures came about: what n is, what was paired, what they are no evidence of."""
    sentences = []
    for paired, how in ((True, "paired by seed"), (False, "unpaired (Welch)")):
        of = [each for each in found if each.difference.paired is paired]
        if of:
            counts = sorted({f"{each.mean_a.n} against {each.mean_b.n} {each.mean_b.unit}" for each in of})
            sentences.append(f"n = {'; '.join(counts)}, {how}.")
    if any(each.difference.ci95 is None for each in found):
        sentences.append("No interval where a side has one round: it takes two rounds or seeds on each side.")
    if any(each.mean_b.unit == "rounds" or each.mean_a.unit == "rounds" for each in found):
        sentences.append("Of one set of images on a side the interval covers the judge's chance alone, not the seed's.")
    if len(found) > 1:
        sentences.append("p-values are corrected for the number of comparisons (Holm).")
    if preview := sorted({each.place.epochs for each in found if each.place.epochs < 1000}):
        sentences.append(f"A preview: {', '.join(f'{epochs:,}' for epochs in preview)} epochs instead of 1,000.")
    if apart := [each for each in found if each.place.limit != each.limit_b or each.mean_a.ipc != each.mean_b.ipc]:
        ipc = "; ".join(f"{each.mean_a.ipc:.4g} against {each.mean_b.ipc:.4g}" for each in apart)
        sentences.append(f"Images per class differ: {ipc}.")
    return sentences
