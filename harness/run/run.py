"""The main job: plan -> generate under the clock -> collect -> audit -> judge -> record -> report."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from evaluation.audits.run import run_audits
from evaluation.base.command_line import ExitCode
from evaluation.base.container import KEEP_RESULTS, tell_if_lost
from evaluation.base.files import write_text
from evaluation.base.images import ImageSet, NormalisedSet, denormalise
from evaluation.data.datasets import is_at_hand, load_split
from evaluation.submitted.class_order_file import write_order
from harness.clock.launch import Needs
from harness.records.record import Outcome, Record
from harness.records.run_folder import RunFolder, existing_folder, new_folder, write_or_rescue
from harness.report.console import Voice
from harness.report.run_page import report_of
from harness.run.assemble import first_record, with_accuracy, with_audits, with_generation, with_trial
from harness.run.collect import Collected, collect, recollect
from harness.run.generation import check_command, fetch_needs, generate
from harness.run.judging import judge_images
from harness.run.options import RunOptions
from harness.run.plan import card_budget, make_plan, plan_sentences
from harness.run.visitor import find_visitor
from submission.contract.generator import get_generator


@dataclass(frozen=True)
class Finished:
    """A run that is over."""

    record: Record
    folder: Path
    report: Path
    exit_code: ExitCode


def run(options: RunOptions, voice: Voice, command: Sequence[str]) -> Finished:
    """Do the main job; `command` is the command line, for the record.

    Raises:
        ValueError: bad input; nothing has been started then.
    """
    # Loaded before the clock so that a run never ends with nothing to judge it by. Where nothing is judged, only what
    # is at hand: the audits want it, but it is not worth a download.
    challenge, data, judged = options.challenge, options.data, options.judged
    train = load_split(challenge, "train", data) if judged or is_at_hand(challenge, "train", data) else None
    test = load_split(challenge, "test", data) if judged or is_at_hand(challenge, "test", data) else None
    if options.resume:
        folder, record, collected = find_run(options, voice)
    else:
        folder, record, collected = make_run(options, voice, command)
    if record.outcome is Outcome.INTERRUPTED:
        code = ExitCode.INTERRUPTED
    elif collected.contents is None:
        code = ExitCode.NOTHING_TO_JUDGE
    else:
        record, code = audit_and_judge(record, folder, collected, train, test, options, voice)
    shown = denormalise(test, challenge) if test is not None else None
    page = report_of(folder, record, collected.pixels, train, shown)
    folder.report = write_or_rescue(folder.report, lambda path: write_text(path, page), voice.say)
    return Finished(record, folder.root, folder.report, code)


def save(record: Record, folder: RunFolder, voice: Voice) -> None:
    """Save the record, whatever became of the run's folder while the clock ran."""
    folder.record = write_or_rescue(folder.record, record.save, voice.say)


def make_run(options: RunOptions, voice: Voice, command: Sequence[str]) -> tuple[RunFolder, Record, Collected]:
    """Plan, generate under the clock and collect: the folder, the record so far, and the images."""
    maker = get_generator(options.generator_name) if options.own else None
    needs = fetch_needs(options) if maker else Needs(None, None, "cpu")
    visitor = find_visitor(options, voice) if options.image is not None else None
    plan = make_plan(options, maker, needs, card_budget(options, voice))
    folder = new_folder(options.out, options.dataset, options.generator_name)
    tell_if_lost(folder.root, "The run", KEEP_RESULTS)
    check_command(options, plan, folder)
    voice.log_to(folder.log)
    voice.say(
        f"{options.challenge.title}, {options.generator_name}: {plan.budget_s:g} s on the clock. Run: {folder.root}"
    )
    for sentence in plan_sentences(plan):
        voice.say(sentence)
    record = first_record(options, maker, plan, command, visitor)
    record.save(folder.record)  # what is left if the harness itself is killed
    folder.reserve_room()
    try:
        generation = generate(options, plan, needs, folder, voice, visitor)
    finally:
        folder.free_room()
    collected = collect(folder.images, options.challenge, generation.ending.started_at)
    collected = replace(collected, warnings=(*generation.notes, *collected.warnings))
    record = with_trial(with_generation(record, generation, collected), generation.trial)
    save(record, folder, voice)
    return folder, record, collected


def find_run(options: RunOptions, voice: Voice) -> tuple[RunFolder, Record, Collected]:
    """The run in `--out`, to go on with: its folder, record and images. Raises ValueError where that cannot be."""
    folder = existing_folder(options.out)
    record = Record.load(folder.record)
    if record.clock is None or record.outcome is Outcome.INTERRUPTED:
        raise ValueError(
            f"the run in {folder.root} was stopped while its images were made; a clock cannot go on, so start a new run"
        )
    if record.dataset != options.dataset:
        raise ValueError(f"the run in {folder.root} is of {record.dataset}, not of {options.dataset}")
    voice.log_to(folder.log)
    return folder, record, recollect(folder.images, options.challenge, record.images_hash)


def audit_and_judge(
    record: Record,
    folder: RunFolder,
    collected: Collected,
    train: ImageSet | None,
    test: ImageSet | NormalisedSet | None,
    options: RunOptions,
    voice: Voice,
) -> tuple[Record, ExitCode]:
    """`record` with audits and, unless one is fatal or nothing is to be judged, accuracy; saved after each step."""
    assert collected.contents is not None, "there is something to judge"
    record = with_audits(record, run_audits(collected.contents, options.challenge, train, test))
    save(record, folder, voice)
    voice.audited(record.audits)
    for order in (audit.numbers["order"] for audit in record.audits if "order" in audit.numbers):
        write = partial(write_order, order=np.array(order, np.int64), challenge=options.challenge)
        folder.class_order = write_or_rescue(folder.class_order, write, voice.say)
        voice.say(
            f"The order that the images suggest is in {folder.class_order}; to judge them in it: python -m evaluation"
            f" {folder.images} --dataset {options.dataset} --class-order {folder.class_order}"
        )
    if options.strict and any(audit.status == "fail" for audit in record.audits):
        voice.say("Not judged: an audit failed, which --strict makes fatal.")
        return record, ExitCode.REGRESSION
    if not options.judged or test is None:
        return record, ExitCode.DONE
    try:
        accuracy, baseline = judge_images(collected.contents.images, train, test, folder, options, voice)
    except KeyboardInterrupt:
        voice.say("Interrupted while judging; the images are safe. Continue with --resume and the same --out.")
        return record, ExitCode.INTERRUPTED
    record = with_accuracy(record, accuracy, baseline, options.challenge)
    save(record, folder, voice)
    for checkpoint in (folder.checkpoint, folder.baseline_checkpoint):
        checkpoint.unlink(missing_ok=True)
    return record, ExitCode.DONE
