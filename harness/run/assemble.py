"""The record of a run, put together step by step: each function adds what one step has found."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from evaluation.audits.audit import Audit, distinct_ipc, mark_declared_copies
from evaluation.base.challenge import Challenge, get_challenge
from evaluation.base.machine import this_machine
from evaluation.curve.real_equivalent import worth_of
from evaluation.judge.score import Score
from harness.clock.container.visitor import Visitor
from harness.planning.batch_trial import BatchTrial
from harness.records.record import (
    BaselinePart,
    ClockPart,
    FilesPart,
    GeneratorPart,
    IpcPart,
    MachinePart,
    Outcome,
    PlanPart,
    Record,
    ThroughputPart,
)
from harness.run.collect import Collected
from harness.run.generation import Generation
from harness.run.options import RunOptions
from harness.run.outcome import outcome
from harness.run.plan import Plan
from submission.contract.generator import GeneratorBase
from submission.contract.settings import compiles
from submission.worker.pda import generated_images


def first_record(
    options: RunOptions,
    maker: type[GeneratorBase] | None,
    plan: Plan,
    command: Sequence[str],
    visitor: Visitor | None = None,
) -> Record:
    """The record before anything has happened: an interrupted run without a clock."""
    here = this_machine()
    settings: dict[str, Any] = dict(plan.settings)
    settings |= {"command": options.command} if options.command is not None else {}
    settings |= {"collect": options.collect} if options.collect is not None else {}
    settings |= {"trust": True} if options.trust else {}
    settings |= {"pda": plan.pda} if options.own else {}
    settings |= visitor.described if visitor else {}
    settings |= {"ipc_cap": plan.ipc_cap, "grace_s": options.grace_s}
    return Record(
        schema=1,
        dataset=options.dataset,
        generator=options.generator_name,
        declared=GeneratorPart.model_validate(maker.info, from_attributes=True) if maker else None,
        settings=settings,
        seed=options.seed,
        outcome=Outcome.INTERRUPTED,
        detail="The harness did not live to see the end",
        budget_s=plan.budget_s,
        clock=None,
        plan=PlanPart(
            steps=plan.steps,
            batch_size=plan.batch_size,
            predicted_ipc=plan.predicted_ipc,
            predicted_ipc_interval=plan.predicted_ipc_interval,
            tuned=plan.tuned is not None,
        ),
        profile=asdict(plan.profile) if plan.profile else None,
        other_card=plan.other_card,
        machine=MachinePart(cpu=here.processor, cores=here.cores, memory_gb=here.memory_gb, container=here.container),
        versions=here.versions,
        commit=here.commit,
        command=list(command),
    )


def without_count(record: Record, generation: Generation) -> Record:
    """`record` with what the clock says, as long as the output folder has not been read."""
    update = {"clock": clock_part(record, generation), "gpu": generation.gpu, "detail": "Its images were not counted"}
    return record.model_copy(update=update)


def clock_part(record: Record, generation: Generation) -> ClockPart:
    """The record's `clock`."""
    ending = generation.ending
    return ClockPart(
        started_at=ending.started_at.isoformat(),
        started=ending.started,
        deadline=ending.deadline,
        ended=ending.ended,
        ended_by=generation.ended_by,
        isolation=ending.isolation,
        confined=None if ending.confined is None else list(ending.confined),
        stragglers=ending.stragglers,
        cold=True if compiles(record.settings) else None,
        ledger=generation.ledger,
    )


def with_generation(record: Record, generation: Generation, collected: Collected) -> Record:
    """`record` with what the clock, the worker and the output folder say."""
    how, detail = outcome(generation, collected.count, collected.invalid, collected.outside)
    used_s = generation.ending.ended - generation.ending.started
    return record.model_copy(
        update={
            "outcome": how,
            "detail": detail,
            "clock": clock_part(record, generation),
            "gpu": generation.gpu,
            "images": collected.count,
            "images_hash": collected.images_hash,
            "ipc": ipc_part(collected, get_challenge(record.dataset), record.settings.get("pda", 1)),
            "files": FilesPart.model_validate(collected, from_attributes=True),
            "images_over_time": list(collected.over_time),
            "throughput": ThroughputPart(images_per_s=collected.count / used_s) if used_s > 0 else None,
        }
    )


def with_trial(record: Record, trial: BatchTrial | None) -> Record:
    """`record` with the batch size that the worker chose on the clock, and what its trials predict."""
    if trial is None:
        return record
    plan: dict[str, Any] = {"batch_size": trial.batch_size}
    if found := trial.predict_images(record.settings.get("pda", 1)):
        cap, classes = record.settings.get("ipc_cap"), get_challenge(record.dataset).classes
        ipc = [round(images / classes, 3) for images in (found.low, found.middle, found.high)]
        low, middle, high = ipc if cap is None else (min(each, cap) for each in ipc)
        plan |= {"predicted_ipc": middle, "predicted_ipc_interval": (low, high)}
    tried = [{"batch_size": images, "seconds": seconds} for images, seconds in trial.tried]
    return record.model_copy(
        update={"plan": record.plan.model_copy(update=plan), "profile": {"source": "trial", "points": tried}}
    )


def with_audits(record: Record, audits: Sequence[Audit]) -> Record:
    """`record` with what the audits found; `ipc.distinct` is theirs."""
    assert record.ipc is not None, "there is something to audit"
    audits = mark_declared_copies(audits, record.declared is not None and record.declared.copies)
    ipc = record.ipc.model_copy(update={"distinct": distinct_ipc(audits)})
    return record.model_copy(update={"audits": audits, "ipc": ipc})


def with_accuracy(record: Record, accuracy: Score, baseline: BaselinePart | None, challenge: Challenge) -> Record:
    """`record` with its score, and what that is worth in real images."""
    update: dict[str, Any] = {"accuracy": accuracy, "baseline": baseline, "judged_on": None}
    if worth := worth_of(accuracy.mean, accuracy.ci95, accuracy.epochs, challenge):
        update |= {"real_equivalent_ipc": worth.ipc, "real_equivalent": worth}
    return record.model_copy(update=update)


def ipc_part(collected: Collected, challenge: Challenge, pda: int) -> IpcPart | None:
    """Whole images per class, and how many of them were generated; None without an image."""
    if not collected.count:
        return None
    counts, classes, contents = collected.per_class, challenge.classes, collected.contents
    generated = generated_images(contents.paths, pda) / classes if contents and pda > 1 else None
    return IpcPart(mean=collected.count / classes, min=min(counts), max=max(counts), generated=generated)
