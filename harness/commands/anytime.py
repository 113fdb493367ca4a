"""`anytime`: judge what a finished run had at each moment, so that one sees whether less time would have done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from evaluation.base.command_line import Data, Device, ExitCode, Options
from evaluation.base.durations import parse_duration, show_duration

if TYPE_CHECKING:
    from harness.records.anytime import Anytime, How
    from harness.records.record import Record
    from harness.report.console import Voice


def parse_moments(text: str) -> tuple[float, ...]:
    """`60,120,5m` as seconds. Raises ValueError where a part of it is not a duration."""
    return tuple(parse_duration(part) for part in text.split(","))


@dataclass(frozen=True)
class AnytimeOptions(Options):
    """Options of `anytime`; None stands for how the run itself was judged, else for the protocol."""

    run: Annotated[Path, Argument(help="Folder of a finished run.")]
    at: Annotated[
        tuple[float, ...] | None,
        Option(parser=parse_moments, help="Moments, comma-separated: 60,120,5m. Default: --points."),
    ] = None
    points: Annotated[int, Option(min=1, help="Number of moments, evenly spaced over the time used.")] = 5
    rounds: Annotated[int | None, Option(min=1, help="Of each judgement. Default: as the run was judged.")] = None
    epochs: Annotated[int | None, Option(min=1, help="Of each judgement. Default: as the run was judged.")] = None
    judge_seed: Annotated[int | None, Option(help="Seed of the judge's rounds. Default: the run's.")] = None
    device: Device = "auto"
    data: Data = None

    def how(self, record: Record) -> How:
        """How to judge: as asked, else as the run was judged, else as the protocol says."""
        from harness.records.anytime import How

        asked = {"epochs": self.epochs, "rounds": self.rounds, "judge_seed": self.judge_seed}
        return How.of(record.accuracy).model_copy(
            update={name: value for name, value in asked.items() if value is not None}
        )


def anytime(options: AnytimeOptions, voice: Voice) -> ExitCode:
    """Accuracy over time: judge what a run had on disk at each moment; plot and area under the curve."""
    from evaluation.base.machine import resolve_device
    from harness.records.record import Record
    from harness.records.run_folder import RunFolder
    from harness.run.judging import judge_prefixes

    folder = RunFolder(options.run.resolve())
    record = Record.load(folder.record)
    how, device = options.how(record), resolve_device(options.device)
    found = judge_prefixes(folder, record, options.at, options.points, how, device, options.data, voice)
    show_anytime(found, options.run, voice)
    return ExitCode.DONE


def show_anytime(found: Anytime, run: Path, voice: Voice) -> None:
    """A table and the area, or with `--json` what the file holds."""
    if voice.as_json:
        print(found.to_json())
        return
    from harness.report.sentences import percent

    rows = []
    for point in found.points:
        interval = "chance: no image yet" if point.accuracy is None else "one round, no interval"
        if point.accuracy and point.accuracy.ci95:
            interval = "{:.2f} to {:.2f}".format(*(100 * end for end in point.accuracy.ci95))
        accuracy = percent(point.worth(found.chance))
        rows.append((show_duration(point.seconds), f"{point.images:,}", f"{point.ipc:.1f}", accuracy, interval))
    voice.table(("time", "images", "IPC", "accuracy", "95% interval"), rows)
    assert found.area is not None, "every point is measured"
    voice.say(
        f"Area under the curve: {100 * found.area:.2f}%, the mean accuracy over the {found.budget_s:g} s of the budget;"
        f" the whole run has {100 * found.points[-1].worth(found.chance):.2f}%."
    )
    if found.preview:
        voice.say(f"A preview: {found.how.epochs:,} epochs, rounds: {found.how.rounds}.")
    voice.say(f"Plot: {run / 'anytime.png'}; the run's report shows it too.")
