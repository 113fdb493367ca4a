"""Generation under the clock: what to start, and what is to be said of how it ended."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.clock.launch import (
    ROOT,
    Launch,
    Needs,
    Terms,
    check_program,
    command_line,
    environment,
    with_compile_cache,
    write_classes,
)
from harness.clock.ledger import Ledger, ledger
from harness.clock.supervisor import Clock, Ending, supervise
from harness.gpu.monitor import watching
from harness.planning.batch_trial import Trial, trial_in
from harness.planning.planner import Plan
from harness.records.record import GpuPart
from harness.records.run_folder import RunFolder
from harness.report.console import Voice
from harness.run.options import RunOptions
from submission.contract.job import Job
from submission.worker.events import read_events

# the last line of the events file is found in its last bytes
TAIL_BYTES = 4096

EndedBy = Literal["clock", "ipc", "exhausted", "program", "interrupt"]


@dataclass(frozen=True)
class Generation:
    """How the clocked part went.

    Attributes:
        ending: what the clock saw.
        ledger: where the time went.
        ended_by: what ended it.
        error: what the worker itself said went wrong: `crashed` or `out_of_memory`.
        detail: one sentence on it.
        gpu: what the card did; None without one.
        trial: the batch sizes that the worker tried, None where it tried none.
        dropped: images that `--keep` has dropped; None where it was not asked for, or the worker did not live to say.
    """

    ending: Ending
    ledger: Ledger
    ended_by: EndedBy
    error: str | None
    detail: str | None
    gpu: GpuPart | None = None
    trial: Trial | None = None
    dropped: int | None = None


def generate(options: RunOptions, plan: Plan, needs: Needs, folder: RunFolder, voice: Voice) -> Generation:
    """Start the generator and hold the clock until nothing of it is left.

    Raises:
        ValueError: the command cannot be started.
    """
    write_classes(options.challenge, folder.classes)
    with (
        watching(folder.telemetry, options.budget, os.environ) as watch,
        voice.generating(options.budget, lambda: images_so_far(folder.events)) as on_tick,
    ):

        def prepare(clock: Clock) -> Launch:
            watch.begin(clock.started)
            return launch(clock, options, plan, needs, folder)

        ending = supervise(
            prepare,
            budget_s=options.budget,
            grace_s=options.grace_s,
            log=folder.log,
            on_tick=on_tick,
        )
    shutil.rmtree(folder.compiled, ignore_errors=True)
    own = options.command is None
    events = read_events(folder.events) if own else []
    time_spent = ledger(folder.events, ending.started, ending.ended, "load" if own else "generate")
    error, detail = failure(events)
    # A card that was there and not used says nothing of the run; what a command used nobody knows.
    gpu = watch.summary() if not own or needs.device != "cpu" else None
    trial = trial_in(events, ending.deadline, needs.device)
    dropped = next((event["dropped"] for event in reversed(events) if isinstance(event.get("dropped"), int)), None)
    return Generation(ending, time_spent, ended_by(ending, events, own), error, detail, gpu, trial, dropped)


def launch(clock: Clock, options: RunOptions, plan: Plan, needs: Needs, folder: RunFolder) -> Launch:
    """The command, environment and folder of the generator's process."""
    terms = terms_of(options, folder)
    env = environment(os.environ, terms, clock.deadline, options.data)
    if options.command is not None:
        return Launch(command_line(options.command, terms), env, Path.cwd())
    job = Job(
        challenge=options.dataset,
        generator=options.generator_name,
        output=str(folder.images),
        events=str(folder.events),
        deadline=clock.deadline,
        seed=options.seed,
        steps=plan.steps,
        batch_size=plan.batch_size,
        trial=plan.trial,
        batch_seconds=plan.batch_seconds,
        ipc=options.ipc_cap,
        pda=options.pda,
        keep=options.keep,
        device=needs.device,
        weights=str(needs.weights) if needs.weights else None,
        training_images=str(needs.training_images) if needs.training_images else None,
        settings=dict(options.settings),
        exhibit=str(folder.exhibit),
    )
    job.save(folder.job)
    env = with_compile_cache(env, folder.compiled)
    return Launch([sys.executable, "-m", "submission.worker.worker", str(folder.job)], env, ROOT)


def terms_of(options: RunOptions, folder: RunFolder) -> Terms:
    """What a generator of any kind is told."""
    return Terms(folder.images, options.dataset, options.budget, options.seed, folder.classes)


def check_command(command: str, options: RunOptions, folder: RunFolder) -> None:
    """Raises ValueError, before the clock, for a command that cannot be started."""
    check_program(Launch(command_line(command, terms_of(options, folder)), os.environ, Path.cwd()))


def images_so_far(events: Path) -> int | None:
    """Images that the worker last said it had made; None where it has said nothing."""
    try:
        with events.open("rb") as file:
            file.seek(max(0, events.stat().st_size - TAIL_BYTES))
            lines = file.read().splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and isinstance(event.get("images"), int):
            return event["images"]
    return None


def ended_by(ending: Ending, events: list[dict[str, Any]], own: bool) -> EndedBy:
    """What ended generation, by the clock's word and, where it was our worker, by its own."""
    if ending.reason == "interrupted":
        return "interrupt"
    if ending.reason == "deadline":
        return "clock"
    said = next((event["end"] for event in reversed(events) if "end" in event), None)
    if own and said in ("clock", "ipc", "exhausted"):
        return said
    return "program"


def failure(events: list[dict[str, Any]]) -> tuple[str | None, str | None]:
    """What the worker said went wrong, and its sentence."""
    for event in reversed(events):
        if event.get("error") in ("crashed", "out_of_memory"):
            return event["error"], str(event.get("detail") or "") or None
    return None, None
