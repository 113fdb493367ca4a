"""The main job: plan -> generate under the clock -> audit -> judge -> record -> report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.audits.base.audit import Audit, distinct_ipc
from evaluation.audits.run import run_audits
from evaluation.base.challenge import Challenge, get_challenge
from evaluation.base.device import resolve_device
from evaluation.base.exits import ExitCode
from evaluation.base.images import ImageSet, NormalisedSet, to_pixels
from evaluation.base.machine import this_machine
from evaluation.curve.real_equivalent import worth_of
from evaluation.data.datasets import cache_folder, is_at_hand, load_split, training_images_file
from evaluation.submitted.class_order_file import write_order
from harness.clock.launch import Needs
from harness.planning.compile_gain import gain_words
from harness.planning.planner import Plan
from harness.planning.profile import Profile
from harness.records.record import (
    AccuracyPart,
    AuditPart,
    BaselinePart,
    ClockPart,
    FilesPart,
    GeneratorPart,
    IpcPart,
    LedgerPart,
    MachinePart,
    Outcome,
    PlanPart,
    RealEquivalentPart,
    Record,
    ThroughputPart,
)
from harness.records.run_folder import RunFolder, existing_folder, new_folder
from harness.report.console import Voice
from harness.report.page import write_report
from harness.run.card_budget import on_another_card
from harness.run.collect import Collected, collect, recollect
from harness.run.generation import Generation, check_command, generate
from harness.run.judging import judge_images
from harness.run.league import with_declared_league
from harness.run.options import RunOptions
from harness.run.outcome import outcome
from harness.run.plan_for_run import plan_of, planned, take_compiled, take_tuned, with_trial
from harness.tuning.stored_choice import TunedPlan, tuned_words
from submission.contract.compile import compiles
from submission.contract.generator import GeneratorBase, get_generator
from submission.patches.scorer import check_scorer
from submission.worker.pda import generated_images


@dataclass(frozen=True)
class Splits:
    """The real data, which judging needs and audits look in; None where it is not at hand and nothing is judged."""

    train: ImageSet | None
    test: ImageSet | NormalisedSet | None


@dataclass(frozen=True)
class Finished:
    """A run that is over."""

    record: Record
    folder: Path
    exit_code: ExitCode


def run(options: RunOptions, voice: Voice, command: Sequence[str]) -> Finished:
    """Do the main job.

    Args:
        options: what to do.
        voice: where to speak.
        command: the command line, for the record.

    Raises:
        ValueError: bad input; nothing has been started then.
    """
    if options.resume:
        return _resume(options, voice)
    maker = get_generator(options.generator_name) if options.command is None else None
    splits = load_splits(options)
    needs = fetch_needs(options, maker)
    options, other_card = on_another_card(options, voice)
    options, tuned = take_tuned(options, needs)
    options, gain = take_compiled(options, maker, needs)
    plan, profile = plan_of(options, maker, needs)
    folder = new_folder(options.out, options.dataset, options.generator_name)
    if options.command is not None:
        check_command(options.command, options, folder)
    voice.log_to(folder.log)
    voice.say(
        f"{options.challenge.title}, {options.generator_name}: {options.budget:g} s on the clock. Run: {folder.root}"
    )
    if tuned is not None:
        voice.say(tuned_words(tuned))
    if gain is not None:
        voice.say(gain_words(gain, options.budget))
    if sentence := planned(plan, profile):
        voice.say(sentence)
    started = first_record(options, maker, plan, command, profile, tuned)
    started = started.model_copy(update={"other_card": other_card})
    started.save(folder.record)  # what is left if the harness itself is killed
    generation = generate(options, plan, needs, folder, voice)
    collected = collect(folder.images, options.challenge, generation.ending.started_at)
    record = with_trial(with_generation(started, generation, collected), generation.trial)
    record.save(folder.record)
    if record.outcome is Outcome.INTERRUPTED:
        return _finish(record, folder, collected, splits, ExitCode.INTERRUPTED)
    return _judge_and_finish(record, folder, collected, splits, options, voice)


def _resume(options: RunOptions, voice: Voice) -> Finished:
    folder = existing_folder(options.out)
    record = Record.load(folder.record)
    if record.clock is None or record.outcome is Outcome.INTERRUPTED:
        raise ValueError(
            f"the run in {folder.root} was stopped while its images were made; a clock cannot go on, so start a new run"
        )
    if record.dataset != options.dataset:
        raise ValueError(f"the run in {folder.root} is of {record.dataset}, not of {options.dataset}")
    voice.log_to(folder.log)
    splits = load_splits(options)
    collected = recollect(folder.images, options.challenge, record.images_hash)
    return _judge_and_finish(record, folder, collected, splits, options, voice)


def _judge_and_finish(
    record: Record, folder: RunFolder, collected: Collected, splits: Splits, options: RunOptions, voice: Voice
) -> Finished:
    if collected.contents is None:
        return _finish(record, folder, collected, splits, ExitCode.NOTHING_TO_JUDGE)
    record = with_audits(record, run_audits(collected.contents, options.challenge, splits.train, splits.test))
    record.save(folder.record)
    voice.audited(record.audits)
    for order in (audit.numbers["order"] for audit in record.audits if "order" in audit.numbers):
        write_order(folder.class_order, np.array(order, np.int64), options.challenge)
        voice.say(
            f"The order that the images suggest is in {folder.class_order}; to judge them in it: python -m evaluation"
            f" {folder.images} --dataset {options.dataset} --class-order {folder.class_order}"
        )
    if options.strict and any(audit.status == "fail" for audit in record.audits):
        voice.say("Not judged: an audit failed, which --strict makes fatal.")
        return _finish(record, folder, collected, splits, ExitCode.REGRESSION)
    if options.judged and splits.test is not None:
        try:
            accuracy, baseline = judge_images(
                collected.contents.images,
                splits.train,
                splits.test,
                folder,
                options,
                resolve_device(options.device),
                voice,
            )
        except KeyboardInterrupt:
            voice.say("Interrupted while judging; the images are kept. Go on with --resume and the same --out.")
            return _finish(record, folder, collected, splits, ExitCode.INTERRUPTED)
        record = with_accuracy(record, accuracy, baseline, options.challenge)
        record.save(folder.record)
        for checkpoint in (folder.checkpoint, folder.baseline_checkpoint):
            checkpoint.unlink(missing_ok=True)
    return _finish(record, folder, collected, splits, ExitCode.DONE)


def _finish(record: Record, folder: RunFolder, collected: Collected, splits: Splits, code: ExitCode) -> Finished:
    test = to_pixels(splits.test, get_challenge(record.dataset)) if splits.test is not None else None
    write_report(folder.report, record, collected.pixels, splits.train, test)
    return Finished(record, folder.root, code)


def load_splits(options: RunOptions) -> Splits:
    """The real images, loaded before the clock so that a run never ends with nothing to judge it by.

    Where nothing is judged, only what is at hand: the audits want it, but it is not worth a download.
    """
    challenge, data = options.challenge, options.data
    return Splits(
        load_split(challenge, "train", data) if options.judged or is_at_hand(challenge, "train", data) else None,
        load_split(challenge, "test", data) if options.judged or is_at_hand(challenge, "test", data) else None,
    )


def fetch_needs(options: RunOptions, maker: type[GeneratorBase] | None) -> Needs:
    """Weights, training images and device: everything that is fetched before the clock."""
    if maker is None:
        return Needs(None, None, "cpu")
    maker.check_settings(options.settings)
    weights = maker.find_weights(options.challenge, options.weights)
    maker.check_fit(options.settings, weights)
    if options.keep < 1:
        check_scorer(options.challenge)
    training_images = None
    if maker.info.needs_training_images:
        training_images = training_images_file(options.challenge, options.data, cache_folder() / "training")
    return Needs(weights, training_images, resolve_device(options.device))


def first_record(
    options: RunOptions,
    maker: type[GeneratorBase] | None,
    plan: Plan,
    command: Sequence[str],
    profile: Profile | None = None,
    tuned: TunedPlan | None = None,
) -> Record:
    """The record before anything has happened: an interrupted run without a clock."""
    info, here = maker.info if maker else None, this_machine()
    settings: dict[str, Any] = dict(options.settings)
    if options.command is not None:
        settings["command"] = options.command
    else:
        settings["pda"] = options.pda
    settings |= {"ipc_cap": options.ipc_cap, "grace_s": options.grace_s, "keep": options.keep}
    return Record(
        schema=1,
        dataset=options.dataset,
        generator=options.generator_name,
        declared=GeneratorPart(
            summary=info.summary,
            external_data=info.external_data,
            pretrained=info.pretrained,
            weights_from=info.weights_from,
            licence=info.licence,
            copies=info.copies,
        )
        if info
        else None,
        settings=settings,
        seed=options.seed,
        outcome=Outcome.INTERRUPTED,
        detail="The harness did not live to see the end",
        budget_s=options.budget,
        clock=None,
        plan=PlanPart(
            steps=plan.steps,
            batch_size=plan.batch_size,
            predicted_ipc=plan.predicted_ipc,
            predicted_ipc_interval=plan.predicted_ipc_interval,
            tuned=tuned is not None,
        ),
        profile=profile.to_json() if profile else None,
        machine=MachinePart(cpu=here.processor, cores=here.cores, memory_gb=here.memory_gb),
        versions=here.versions,
        commit=here.commit,
        command=list(command),
    )


def with_generation(record: Record, generation: Generation, collected: Collected) -> Record:
    """`record` with what the clock, the worker and the output folder told."""
    ending, time_spent = generation.ending, generation.ledger
    how, detail = outcome(generation, collected.count, collected.invalid)
    used_s = ending.ended - ending.started
    return record.model_copy(
        update={
            "outcome": how,
            "detail": detail,
            "clock": ClockPart(
                started_at=ending.started_at.isoformat(),
                started=ending.started,
                deadline=ending.deadline,
                ended=ending.ended,
                ended_by=generation.ended_by,
                isolation=ending.isolation,
                stragglers=ending.stragglers,
                cold=True if compiles(record.settings) else None,
                ledger=LedgerPart(
                    load=time_spent.load,
                    warmup=time_spent.warmup,
                    profile=time_spent.profile,
                    generate=time_spent.generate,
                    write=time_spent.write,
                    idle=time_spent.idle,
                    killed_after_s=ending.killed_after_s,
                ),
            ),
            "gpu": generation.gpu,
            "images": collected.count,
            "dropped": generation.dropped,
            "images_hash": collected.images_hash,
            "ipc": ipc_part(collected, get_challenge(record.dataset), record.settings.get("pda", 1)),
            "files": FilesPart(
                dropped=collected.dropped,
                half_written=collected.half_written,
                examples=list(collected.examples),
                warnings=list(collected.warnings),
            ),
            "images_over_time": list(collected.over_time),
            "throughput": ThroughputPart(images_per_s=collected.count / used_s) if used_s > 0 else None,
        }
    )


def with_audits(record: Record, audits: Sequence[Audit]) -> Record:
    """`record` with what the audits found; `ipc.distinct` is theirs."""
    assert record.ipc is not None, "there is something to audit"
    audits = with_declared_league(audits, record.declared is not None and record.declared.copies)
    ipc = record.ipc.model_copy(update={"distinct": distinct_ipc(audits)})
    return record.model_copy(update={"audits": [AuditPart(**asdict(audit)) for audit in audits], "ipc": ipc})


def with_accuracy(
    record: Record, accuracy: AccuracyPart, baseline: BaselinePart | None, challenge: Challenge
) -> Record:
    """`record` with its score, and what that is worth in real images."""
    worth = worth_of(accuracy.mean, accuracy.ci95, accuracy.epochs, challenge)
    update: dict[str, Any] = {"accuracy": accuracy, "baseline": baseline}
    if worth:
        update |= {"real_equivalent_ipc": worth.ipc, "real_equivalent": RealEquivalentPart(**asdict(worth))}
    return record.model_copy(update=update)


def ipc_part(collected: Collected, challenge: Challenge, pda: int) -> IpcPart | None:
    """Whole images per class, and how many of them were generated; None without an image."""
    if collected.contents is None or not collected.count:
        return None
    counts = collected.per_class
    generated = generated_images(collected.contents.paths, pda) / challenge.classes if pda > 1 else None
    return IpcPart(mean=collected.count / challenge.classes, min=min(counts), max=max(counts), generated=generated)
