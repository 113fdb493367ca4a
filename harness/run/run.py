"""The main job: plan -> generate under the clock -> collect -> audit -> judge -> record -> report."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from evaluation.audits.run import run_audits
from evaluation.base.command_line import ExitCode
from evaluation.base.container import mount_results, tell_if_lost
from evaluation.base.files import write_text
from evaluation.base.images import ImageSet, NormalisedSet, denormalise
from evaluation.base.interruption import held_back
from evaluation.submitted.class_order_file import write_order
from harness.clock.launch import Needs
from harness.records.record import Outcome, Record
from harness.records.run_folder import RunFolder, existing_folder, held, new_folder, refuse_existing, write_or_rescue
from harness.report.console import Voice
from harness.report.run_page import report_of
from harness.run.ahead import costs_of, load_real
from harness.run.assemble import first_record, with_accuracy, with_audits, with_generation, with_trial, without_count
from harness.run.collect import Collected, collect, count_by_name, recollect
from harness.run.generation import Generation, check_command, fetch_needs, generate
from harness.run.judging import REAL, Judge, judge_images
from harness.run.options import RunOptions
from harness.run.plan import Plan, card_budget, make_plan, plan_sentences
from harness.run.visitor import find_visitor
from submission.contract.generator import get_generator


@dataclass(frozen=True)
class Finished:
    """A run that is over; its report is in its folder, or elsewhere where that could not be written."""

    record: Record
    folder: Path
    report: Path
    exit_code: ExitCode


@dataclass
class Work:
    """A run under way: what is known of it so far.

    Attributes:
        generation: how the clock ended, while the images have not been counted; None before and afterwards.
        collected: the images once they are counted.
    """

    folder: RunFolder
    record: Record
    voice: Voice
    generation: Generation | None = None
    collected: Collected = field(default_factory=Collected)

    def keep(self, record: Record) -> None:
        """From now on `record`, on disk too, whatever became of the run's folder while the clock ran."""
        self.record = record
        self.folder.record = write_or_rescue(self.folder.record, record.save, self.voice.say)

    def report(self, train: ImageSet | None, test: ImageSet | None) -> None:
        """Write the report of what is known; `train` and `test` are for pictures to compare with."""
        with self.voice.working("Writing the report"):
            page = report_of(self.folder, self.record, self.collected.pixels, train, test)
        self.folder.report = write_or_rescue(self.folder.report, lambda path: write_text(path, page), self.voice.say)


def run(options: RunOptions, voice: Voice, command: Sequence[str]) -> Finished:
    """Do the main job; `command` is the command line, for the record.

    Raises:
        ValueError: bad input; nothing has been started then.
    """
    if not options.resume:  # before real images are read and the judge is timed
        if options.out is not None:
            refuse_existing(options.out)
        check_command(options)
    train, test, judge = load_real(options, voice)
    with ExitStack() as until_done:
        if options.resume:
            work, interrupted = find_run(options, voice, until_done), False
        else:
            tell = costs_of(options, train, judge)
            work, interrupted = make_run(options, voice, command, until_done, tell)
        try:
            code = finish(work, interrupted, train, test, judge, options)
        except KeyboardInterrupt:
            voice.say("Interrupted; the images are safe. Continue with --resume and the same --out.")
            code = ExitCode.INTERRUPTED
        finally:  # of a run that ends in an error too
            shown = denormalise(test, options.challenge) if test is not None else None
            with held_back():
                work.report(train, shown)
    return Finished(work.record, work.folder.root, work.folder.report, code)


def make_run(
    options: RunOptions,
    voice: Voice,
    command: Sequence[str],
    until_done: ExitStack,
    tell: Callable[[Plan], None] | None,
) -> tuple[Work, bool]:
    """Plan, and generate under the clock: the run so far, and whether it was interrupted.

    No other harness may work in its folder `until_done`. `tell` says before the clock what the plan will cost.
    """
    maker = get_generator(options.generator_name) if options.own else None
    needs = fetch_needs(options) if maker else Needs(None, None, "cpu")
    visitor = find_visitor(options, voice) if options.image is not None else None
    plan = make_plan(options, maker, needs, card_budget(options, voice))
    if tell is not None:
        tell(plan)
    with held_back(raises=False) as interruption:  # from here on there is something to keep
        folder = new_folder(options.out, options.dataset, options.generator_name)
        until_done.enter_context(held(folder))
        tell_if_lost(folder.root, "The run", mount_results())
        voice.log_to(folder.log)
        voice.say(
            f"{options.challenge.title}, {options.generator_name}: {plan.budget_s:g} s on the clock. Run: {folder.root}"
        )
        for sentence in plan_sentences(plan):
            voice.say(sentence)
        work = Work(folder, first_record(options, maker, plan, command, visitor), voice)
        work.record.save(folder.record)  # what is left if the harness itself is killed
        folder.reserve_room()
        try:
            work.generation = generate(options, plan, needs, folder, voice, visitor)
        finally:
            folder.free_room()
        with suppress(OSError):  # only a resumption needs it
            work.generation.save(folder.generation)
        work.keep(without_count(work.record, work.generation))
        return work, interruption.is_set()


def find_run(options: RunOptions, voice: Voice, until_done: ExitStack) -> Work:
    """The run in `--out`, to go on with where it stopped; no other harness may work in its folder `until_done`.

    Raises ValueError where it cannot go on.
    """
    folder = existing_folder(options.out)
    until_done.enter_context(held(folder))
    record = Record.load(folder.record)
    if record.clock is None or record.clock.ended_by == "interrupt":
        raise ValueError(
            f"the run in {folder.root} was stopped while its images were made; a clock cannot go on, so start a new run"
        )
    if record.dataset != options.dataset:
        raise ValueError(f"the run in {folder.root} is of {record.dataset}, not of {options.dataset}")
    voice.log_to(folder.log)
    if folder.generation.exists():
        return Work(folder, record, voice, Generation.load(folder.generation))
    with voice.reading() as on_read:
        collected = recollect(folder.images, options.challenge, record.images_hash, on_read)
    return Work(folder, record, voice, collected=collected)


def finish(
    work: Work,
    interrupted: bool,
    train: ImageSet | None,
    test: ImageSet | NormalisedSet | None,
    judge: Judge | None,
    options: RunOptions,
) -> ExitCode:
    """Everything after the clock: count the images, audit, judge.

    Args:
        interrupted: whether generating was, or what followed it; images that were made until then are still counted.
    """
    if work.generation is not None:
        if interrupted and work.generation.ending.reason != "interrupted":
            raise KeyboardInterrupt
        count(work, options)
    if work.record.outcome is Outcome.INTERRUPTED:
        return ExitCode.INTERRUPTED
    if work.collected.contents is None:
        return ExitCode.NOTHING_TO_JUDGE
    return audit_and_judge(work, train, test, judge, options)


def count(work: Work, options: RunOptions) -> None:
    """Count the images that the clock left. Who has interrupted it does not wait until they are read."""
    assert work.generation is not None, "the clock has ended"
    folder, ending = work.folder.images, work.generation.ending
    if ending.reason == "interrupted":
        collected = count_by_name(folder, options.challenge)
    else:
        with work.voice.reading() as on_read:
            collected = collect(folder, options.challenge, ending.started_at, on_read)
    work.collected = replace(collected, warnings=(*work.generation.notes, *collected.warnings))
    counted = with_generation(work.record, work.generation, work.collected)
    work.keep(with_trial(counted, work.generation.trial))
    with suppress(OSError):
        work.folder.generation.unlink(missing_ok=True)
    work.generation = None


def audit_and_judge(
    work: Work,
    train: ImageSet | None,
    test: ImageSet | NormalisedSet | None,
    judge: Judge | None,
    options: RunOptions,
) -> ExitCode:
    """Audits and, unless one is fatal or nothing is to be judged, accuracy; the record is saved after each step."""
    folder, contents, voice = work.folder, work.collected.contents, work.voice
    assert contents is not None, "there is something to judge"
    with voice.auditing() as on_audit:
        audits = run_audits(contents, options.challenge, train, test, on_audit)
    work.keep(with_audits(work.record, audits))
    voice.audited(work.record.audits)
    for order in (audit.numbers["order"] for audit in work.record.audits if "order" in audit.numbers):
        write = partial(write_order, order=np.array(order, np.int64), challenge=options.challenge)
        folder.class_order = write_or_rescue(folder.class_order, write, voice.say)
        voice.say(
            f"The order that the images suggest is in {folder.class_order}; to judge them in it: python -m evaluation"
            f" {folder.images} --dataset {options.dataset} --class-order {folder.class_order}"
        )
    if options.strict and any(audit.status == "fail" for audit in work.record.audits):
        voice.say("Not judged: an audit failed, which --strict makes fatal.")
        return ExitCode.REGRESSION
    if judge is None:
        return ExitCode.DONE
    accuracy, baseline = judge_images(judge, contents.images, train, folder, options.generator_name == REAL)
    work.keep(with_accuracy(work.record, accuracy, baseline, options.challenge))
    for checkpoint in (folder.checkpoint, folder.baseline_checkpoint):
        checkpoint.unlink(missing_ok=True)
    return ExitCode.DONE
