"""`regress`: accuracy against images per class as a gate: is this tree worse than the baseline?"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from evaluation.base.command_line import Data, Device, ExitCode, Options, declared, flag, parse_counts
from evaluation.base.durations import parse_duration
from evaluation.base.files import check_writable, write_text
from harness.run.options import parse_settings, parse_steps

if TYPE_CHECKING:
    from harness.compare.baseline import Measurement, Task
    from harness.compare.gate import Gate
    from harness.report.console import Voice

# of a task; what else is asked for belongs to this call
TASK = (
    *("dataset", "generator", "command", "trust", "name", "weights", "settings", "steps", "pda", "budget_s", "seed"),
    *("ipc", "rounds", "epochs", "judge_seed", "engine", "margin"),
)
FRESH = ("seed", "judge_seed", "rounds")  # may differ from the baseline's without --update: other draws of the same


@dataclass(frozen=True)
class RegressOptions(Options):
    """Options of `regress`; None stands for what the baseline says."""

    baseline: Annotated[Path, Option(help="The baseline: a JSON file, which --update writes.")]
    update: Annotated[bool, Option("--update", help="Measure and write the baseline; show the difference.")] = False
    dataset: Annotated[str | None, Option(help="cifar100, tiny-imagenet or digits.")] = None
    generator: Annotated[str | None, Option(help="One that `generators` lists.")] = None
    command: Annotated[str | None, Option(help="Anybody's program instead, as for `run`.")] = None
    trust: Annotated[bool, Option("--trust", help="As for `run`: do not shut the --command in.")] = False
    name: Annotated[str | None, Option(help="What a --command is called.")] = None
    weights: Annotated[str | None, Option(help="A local file or folder of weights.")] = None
    settings: Annotated[
        Mapping[str, str], Option("--set", parser=parse_settings, help="A setting of the generator, NAME=VALUE.")
    ] = field(default_factory=dict)
    steps: Annotated[int | None, Option(min=1, parser=parse_steps, help="Denoising steps.")] = None
    pda: Annotated[int | None, Option(min=1, help="Images in all for each generated one.")] = None
    budget_s: Annotated[
        float | None, Option("--budget", parser=parse_duration, help="Wall-clock budget: 600, 600s, 10m.")
    ] = None
    seed: Annotated[int | None, Option(help="Seed of the images.")] = None
    ipc: Annotated[
        tuple[int, ...] | None, Option(parser=parse_counts, help="Images per class to judge at: 1,5,10.")
    ] = None
    rounds: Annotated[int | None, Option(min=1, help="Trainings of the judge's network at each IPC.")] = None
    epochs: Annotated[int | None, Option(min=1, help="Epochs of each training.")] = None
    judge_seed: Annotated[int | None, Option(help="Seed of the judge's rounds.")] = None
    engine: Annotated[str | None, Option(help="The judge's engine: fast or reference.")] = None
    margin: Annotated[float | None, Option(help="Percentage points; a drop up to this is none. New baselines: 1.")] = (
        None
    )
    min_accuracy: Annotated[
        float | None, Option(help="Percent: less at the highest IPC is a regression, whatever the baseline says.")
    ] = None
    require_evidence: Annotated[
        bool, Option("--require-evidence", help="Exit code 5 where there is not enough evidence, instead of a warning.")
    ] = False
    throughput: Annotated[
        bool, Option("--throughput", help="Also compare images per second, relative to the machine's measured speed.")
    ] = False
    junit: Annotated[Path | None, Option(help="Write the rows as JUnit XML.")] = None
    summary: Annotated[Path | None, Option(help="Append a Markdown summary, e.g. to $GITHUB_STEP_SUMMARY.")] = None
    out: Annotated[Path | None, Option(help="Folder of the run. Default: runs/<time>-<dataset>-<generator>.")] = None
    device: Device = "auto"
    data: Data = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.margin is not None and self.margin <= 0:
            raise ValueError(f"--margin must be more than 0 percentage points, not {self.margin:g}")

    @property
    def asked(self) -> dict[str, Any]:
        """What was said of the task."""
        return {name: value for name in TASK if (value := getattr(self, name)) not in (None, {}, False)}

    def task(self, before: Measurement | None) -> Task:
        """What to measure: the baseline's task, with what was asked for.

        Raises:
            ValueError: there is no baseline, or another task is asked for, without --update.
        """
        from harness.compare.baseline import Task

        if before is None:
            if not self.update:
                raise ValueError(f"there is no baseline {self.baseline}; write it with --update --dataset D")
            if self.dataset is None:
                raise ValueError("a new baseline needs --dataset")
            return Task(dataset="digits").changed(self.asked)
        task = before.task.changed(self.asked)
        if not self.update:
            for name in self.asked:
                if name not in FRESH and getattr(task, name) != getattr(before.task, name):
                    option = flag(name, declared(type(self))[name])
                    raise ValueError(
                        f"the baseline was measured with {option} {getattr(before.task, name)}; leave it out, or write"
                        " another baseline with --update"
                    )
        return task


def regress(options: RegressOptions, voice: Voice) -> ExitCode:
    """Measure what a baseline measured and tell a regression from noise; exit code 1 on a regression."""
    from harness.compare.baseline import Measurement
    from harness.compare.gate import Verdict, judge_gate
    from harness.compare.gate_reports import junit, markdown
    from harness.compare.measure import Place, measure

    before = Measurement.load(options.baseline)
    task = options.task(before)
    for file in (options.baseline if options.update else None, options.junit, options.summary):
        if file is not None:
            check_writable(file)
    where = Place(options.out, options.device, options.data)
    after = measure(task, where, options.throughput, voice, ["python", "-m", "harness", *sys.argv[1:]])
    same_points = before is not None and before.task.epochs == task.epochs and before.task.dataset == task.dataset
    compared = before if same_points else None
    throughput = options.throughput and not (options.update and (compared is None or compared.calibration is None))
    # a first baseline is compared with itself, for the power that it has
    gate = judge_gate(compared or after, after, options.min_accuracy, throughput)
    show(gate, after, options, compared is not None, voice)
    if options.update:
        after.save(options.baseline)
        voice.say(f"Written: {options.baseline}")
        return ExitCode.DONE
    if options.junit is not None:
        write_text(options.junit, junit(gate, after, options.require_evidence))
    if options.summary is not None:
        with options.summary.open("a", encoding="utf-8") as text:
            text.write(markdown(gate, after))
    if gate.verdict is Verdict.REGRESSION:
        return ExitCode.REGRESSION
    unsure = gate.verdict is Verdict.NOT_ENOUGH_EVIDENCE and options.require_evidence
    return ExitCode.NOT_ENOUGH_EVIDENCE if unsure else ExitCode.DONE


def show(gate: Gate, after: Measurement, options: RegressOptions, compared: bool, voice: Voice) -> None:
    """The rows, why each verdict is what it is, and how sure the gate can be; or one JSON object."""
    from harness.compare.gate import Verdict
    from harness.compare.gate_reports import COLUMNS, cells, title

    if voice.as_json:
        rows = [{**asdict(row), "ci95": row.difference.ci95 if row.difference else None} for row in gate.rows]
        told = {"verdict": gate.verdict, "rows": rows, "sentences": gate.sentences}
        print(json.dumps({**told, "measurement": json.loads(after.to_json())}, indent=2))
        return
    voice.say(title(after))
    if not compared:
        for ipc, score in after.scores.items():
            spread = f", std {100 * score.std:.2f}" if score.std is not None else ""
            voice.say(f"IPC {ipc}: {100 * score.mean:.2f}%{spread}, n = {len(score.rounds)}")
    else:
        voice.table(COLUMNS, [cells(row) for row in gate.rows])
        for row in gate.rows:
            outvoted = row.verdict is Verdict.NOT_ENOUGH_EVIDENCE and gate.verdict in (Verdict.PASSED, Verdict.IMPROVED)
            if row.verdict is not Verdict.PASSED and not outvoted:
                voice.say(f"{row.name}: {row.sentence}")
    for sentence in gate.sentences:
        voice.say(sentence)
    if compared:
        warning = "Warning: " if gate.verdict is Verdict.NOT_ENOUGH_EVIDENCE else ""
        voice.say(f"{warning}{gate.verdict.value.capitalize()}.")
