"""`track`: send a run to an experiment tracker, W&B or MLflow."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from evaluation.base.command_line import ExitCode, Options

if TYPE_CHECKING:
    from harness.report.console import Voice


@dataclass(frozen=True)
class TrackOptions(Options):
    run: Annotated[Path, Argument(help="Folder of a run.")]
    to: Annotated[str, Option(help="wandb or mlflow; its own environment variables say where that is.")]
    project: Annotated[str, Option(help="W&B's project, MLflow's experiment.")] = "generative-distillation"


def track(options: TrackOptions, voice: Voice) -> ExitCode:
    """Send a run to W&B or MLflow: parameters, accuracy by round, metrics, tags, record and report."""
    from harness.records.record import Record
    from harness.records.run_folder import RunFolder
    from harness.tracking.run_facts import run_facts
    from harness.tracking.trackers import send

    folder = RunFolder(options.run.resolve())
    facts = run_facts(folder, Record.load(folder.record))
    where = send(facts, options.to, options.project)
    if voice.as_json:
        print(json.dumps({"run": facts.name, "to": options.to, "project": options.project, "where": where}))
    voice.say(f"{facts.name} is in {options.to}, {options.project}: {where}")
    return ExitCode.DONE
