"""Generation under the clock: what it needs, what is started, and how it ended."""

import json
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from evaluation.base.cache import cache_folder
from evaluation.base.files import write_text
from evaluation.base.machine import resolve_device
from evaluation.data.datasets import training_images_file
from harness.clock.container.limits import CLASSES, OUTPUT
from harness.clock.container.sandbox import supervise_container
from harness.clock.container.visitor import Visitor
from harness.clock.late import last_moment, late_note, remove_late
from harness.clock.launch import (
    Launch,
    Needs,
    Terms,
    check_program,
    command_line,
    container_environment,
    environment,
    launch_worker,
    with_compile_cache,
    write_classes,
)
from harness.clock.ledger import Ledger, Phase, ledger
from harness.clock.supervisor import Clock, Ending, supervise
from harness.gpu.monitor import monitoring
from harness.gpu.telemetry import GpuSummary
from harness.gpu.wake import wake_cards
from harness.planning.batch_trial import BatchTrial, trial_in
from harness.records.record import EndedBy
from harness.records.run_folder import RunFolder
from harness.report.console import Voice
from harness.run.confining import hidden_from_command
from harness.run.named_file import check_named_file, named_file, take_in
from harness.run.options import GeneratorOptions, RunOptions
from harness.run.plan import Plan
from submission.contract.generator import get_generator
from submission.contract.job import read_events

# the last line of the events file is found in its last bytes
TAIL_BYTES = 4096


@dataclass(frozen=True)
class Generation:
    """How the clocked part went.

    Attributes:
        error: what the worker itself said went wrong: `crashed` or `out_of_memory`.
        detail: one sentence on it.
        gpu: what the card did; None without one.
        trial: the batch sizes that the worker tried, None where it tried none.
        notes: sentences on files that do not count.
    """

    ending: Ending
    ledger: Ledger
    ended_by: EndedBy
    error: str | None
    detail: str | None
    gpu: GpuSummary | None = None
    trial: BatchTrial | None = None
    notes: tuple[str, ...] = ()

    def save(self, path: Path) -> None:
        """Write it whole or not at all."""
        write_text(path, _AS_JSON.dump_json(self).decode())

    @classmethod
    def load(cls, path: Path) -> "Generation":
        """What `save` has written. Raises ValueError for anything else."""
        try:
            return _AS_JSON.validate_json(path.read_bytes())
        except ValidationError:
            raise ValueError(f"{path} does not say how the clock ended; start a new run") from None


_AS_JSON = TypeAdapter(Generation)


def fetch_needs(options: GeneratorOptions) -> Needs:
    """Weights, training images and device of a generator: everything that is fetched before the clock.

    Raises:
        ValueError: something is missing, or the settings do not fit.
    """
    maker, challenge = get_generator(options.generator_name), options.challenge
    maker.resolve_settings(options.settings)  # before gigabytes are fetched
    weights = maker.find_weights(challenge, options.weights)
    maker.resolve_settings(options.settings, weights)
    training_images = None
    if maker.info.needs_training_images:
        training_images = training_images_file(challenge, options.data, cache_folder() / "training")
    return Needs(weights, training_images, resolve_device(options.device))


def generate(
    options: RunOptions, plan: Plan, needs: Needs, folder: RunFolder, voice: Voice, visitor: Visitor | None = None
) -> Generation:
    """Start the generator and hold the clock until nothing of it is left.

    Args:
        visitor: the container of `--image`.

    Raises:
        ValueError: the command or the container cannot be started.
    """
    write_classes(options.challenge, folder.classes)
    wake_cards()
    with (
        monitoring(folder.telemetry, plan.budget_s, os.environ) as monitor,
        voice.generating(plan.budget_s, lambda: images_so_far(folder.events)) as on_tick,
    ):

        def prepare(clock: Clock) -> Launch:
            monitor.begin(clock.started)
            return launch(clock, options, plan, needs, folder)

        notes: tuple[str, ...] = ()
        budget_s, grace_s, log = plan.budget_s, options.grace_s, folder.log
        if visitor is None:
            hidden = None
            if options.command is not None:
                command = command_line(options.command, terms_of(options, plan.budget_s, folder))
                hidden = hidden_from_command(options, Launch(command, os.environ, Path.cwd()), folder.images)
            ending = supervise(prepare, budget_s=budget_s, grace_s=grace_s, log=log, on_tick=on_tick, hidden=hidden)
            if late := remove_late(folder.images, last_moment(ending, folder.root)):
                notes = (late_note(late),)
            if named := named_file(options, terms_of(options, plan.budget_s, folder)):
                why_not = take_in(named, folder.images, options.challenge, last_moment(ending, named.parent))
                notes += () if why_not is None else (why_not,)
        else:
            ending, copied = supervise_container(
                visitor, prepare, output=folder.images, budget_s=budget_s, grace_s=grace_s, log=log, on_tick=on_tick
            )
            notes = copied.notes
    shutil.rmtree(folder.compiled, ignore_errors=True)
    own = options.own
    events = read_events(folder.events) if own else []
    phase: Phase = "load" if own else "generate"
    time_spent = ledger(folder.events, ending.started, ending.ended, phase, ending.killed_after_s)
    error, detail = failure(events)
    # A card that was there and not used says nothing of the run; what a command used nobody knows.
    gpu = monitor.summary() if not own or needs.device != "cpu" else None
    trial = trial_in(events, ending.deadline, needs.device)
    return Generation(ending, time_spent, ended_by(ending, events, own), error, detail, gpu, trial, notes)


def launch(clock: Clock, options: RunOptions, plan: Plan, needs: Needs, folder: RunFolder) -> Launch:
    """The command, environment and folder of the generator's process."""
    terms = terms_of(options, plan.budget_s, folder)
    if options.image is not None:
        command = command_line(options.command, terms) if options.command is not None else []
        return Launch(command, container_environment(terms, clock.deadline), folder.root)
    env = environment(os.environ, terms, clock.deadline, options.data)
    if options.command is not None:
        return Launch(command_line(options.command, terms), env, Path.cwd())
    job = needs.job(
        challenge=options.dataset,
        generator=options.generator_name,
        output=str(folder.images),
        events=str(folder.events),
        deadline=clock.deadline,
        seed=options.seed,
        steps=plan.steps,
        batch_size=plan.batch_size,
        trial=plan.tries_batch_sizes,
        batch_seconds=plan.batch_seconds,
        ipc=plan.ipc_cap,
        pda=plan.pda,
        settings=dict(plan.settings),
        exhibit=str(folder.exhibit),
    )
    return launch_worker(job, folder.job, with_compile_cache(env, folder.compiled))


def terms_of(options: RunOptions, budget_s: float, folder: RunFolder) -> Terms:
    """What a generator of any kind is given."""
    output, classes = (folder.images, folder.classes) if options.image is None else (Path(OUTPUT), Path(CLASSES))
    return Terms(output, options.dataset, budget_s, options.seed, classes)


def check_command(options: RunOptions) -> None:
    """Raises ValueError, before anything is begun, for a `--command` that cannot be started."""
    if options.command is not None:
        terms = terms_of(options, options.budget, RunFolder((options.out or Path("runs/new")).absolute()))
        command = command_line(options.command, terms)
        check_named_file(options, terms)
        if options.image is None:
            check_program(Launch(command, os.environ, Path.cwd()))


def images_so_far(events: Path) -> int | None:
    """Images that the worker last said it had made; None where it has said nothing."""
    try:
        with events.open("rb") as file:
            file.seek(max(0, events.stat().st_size - TAIL_BYTES))
            lines = file.read().splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        with suppress(ValueError, KeyError, TypeError):  # half a line, or another event
            return int(json.loads(line)["images"])
    return None


def ended_by(ending: Ending, events: list[dict[str, Any]], own: bool) -> EndedBy:
    """What ended generation, by the clock's word and, where it was our worker, by its own."""
    if ending.reason == "interrupted":
        return "interrupt"
    if ending.reason == "deadline":
        return "clock"
    said = next((event["end"] for event in reversed(events) if "end" in event), None)
    return said if own and said in ("clock", "ipc", "exhausted") else "program"


def failure(events: list[dict[str, Any]]) -> tuple[str | None, str | None]:
    """What the worker said went wrong, and its sentence."""
    for event in reversed(events):
        if event.get("error") in ("crashed", "out_of_memory"):
            return event["error"], str(event.get("detail") or "") or None
    return None, None
