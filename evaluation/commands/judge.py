"""`python -m evaluation judge`: audit a submission and score it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from evaluation.base.command_line import (
    Data,
    Device,
    Engine,
    Epochs,
    ExitCode,
    JudgeSeed,
    Options,
    Rounds,
    Strict,
)
from evaluation.base.files import check_writable, checkpoint_if_writable

if TYPE_CHECKING:
    from evaluation.submitted.run_record import RunRecord

Submission = Annotated[Path, Argument(help="A run, a folder of class folders or shards, a .pt file or an .npz shard.")]
DatasetOfRun = Annotated[
    str | None, Option(help="cifar100, tiny-imagenet or digits. Default, for the folder of a run: its own.")
]
ClassOrder = Annotated[
    Path | None, Option(help="A file that says which class each stored one is, as `audit` writes it.")
]


@dataclass(frozen=True)
class JudgeOptions(Options):
    submission: Submission
    dataset: DatasetOfRun = None
    data: Data = None
    engine: Engine = "fast"
    rounds: Rounds = 3
    epochs: Epochs = 1000
    judge_seed: JudgeSeed = 0
    device: Device = "auto"
    class_order: ClassOrder = None
    checkpoint: Annotated[
        Path | None,
        Option(help="A file to resume from after an interruption, deleted at the end. Default: in the cache."),
    ] = None
    audits: Annotated[bool, Option("--audits/--no-audits", help="Audit before judging.")] = True
    strict: Strict = False


def judge(options: JudgeOptions, as_json: bool) -> ExitCode:
    """Train the challenge's network on a submission and score it on the real test set; a run keeps what is found."""
    from evaluation.commands.judged_run import held_run, why_not_kept
    from evaluation.submitted.run_record import read_run

    run = read_run(options.submission)
    reordered = options.class_order is not None
    why_not = why_not_kept(run, reordered, options.epochs, options.rounds) if run else None
    with held_run(run if why_not is None else None):
        return _judge(options, as_json, run, why_not)


def _judge(options: JudgeOptions, as_json: bool, run: RunRecord | None, why_not: str | None) -> ExitCode:
    """The same for a folder that is a `run`, or not; `why_not` is a sentence where its record is to stay as it is."""
    from evaluation.audits.audit import mark_declared_copies
    from evaluation.audits.run import run_audits
    from evaluation.base.cache import cache_folder
    from evaluation.base.images import content_hash
    from evaluation.base.machine import resolve_device, this_machine
    from evaluation.base.progress_bar import plain_console, progress_bar
    from evaluation.commands.display import (
        any_failed,
        auditing,
        judging,
        loading,
        reading,
        result,
        sentence,
        show_audits,
    )
    from evaluation.commands.judged_run import keep
    from evaluation.curve.real_equivalent import worth_of, worth_words
    from evaluation.data.datasets import load_split
    from evaluation.judge import score
    from evaluation.judge.estimate import estimate
    from evaluation.submitted.reading import read_submission
    from evaluation.submitted.run_record import challenge_of

    challenge, device = challenge_of(options.dataset, run, options.submission), resolve_device(options.device)
    engine, rounds, epochs = options.engine, options.rounds, options.epochs
    score.check_judging(engine, rounds, epochs)
    if options.checkpoint:
        check_writable(options.checkpoint)
    console = plain_console(stderr=as_json)
    with reading(console) as on_read:
        contents = read_submission(options.submission, challenge, options.class_order, on_read)
    of = f"{content_hash(contents.images)[:32]}-{engine}-{epochs}-{options.judge_seed}-{device}"
    checkpoint = options.checkpoint
    if checkpoint is None:
        kept = cache_folder() / "judge" / f"{challenge.name}-{of}.ckpt"
        checkpoint = checkpoint_if_writable(kept, console.print)
    with loading(console, challenge, options.data):
        test = load_split(challenge, "test", options.data)
        train = load_split(challenge, "train", options.data) if options.audits else None

    ipc = len(contents.images) / challenge.classes
    console.print(f"{challenge.title}: {len(contents.images):,} images, IPC {ipc:g}")
    for warning in contents.warnings:
        console.print(f"Note: {warning}")
    audits = []
    if train:
        with auditing(console) as on_audit:
            audits = run_audits(contents, challenge, train, test, on_audit)
        audits = mark_declared_copies(audits, run is not None and run.copies)
    show_audits(console, audits)

    def finish(found: dict[str, Any], sentences: list[str]) -> None:
        if as_json:
            print(json.dumps(found, indent=2))
        for each in sentences:
            console.print(each)
        if run and why_not is None:
            keep(run, found, this_machine(device), sentences, challenge)
            console.print(f"Record and report of the run in {run.folder} hold it now.")
        elif why_not:
            console.print(why_not)

    if options.strict and any_failed(audits):
        finish(result(challenge, contents, audits), ["Not judged: an audit failed, which --strict makes fatal."])
        return ExitCode.REGRESSION

    with progress_bar("Timing the judge on this machine", console):
        expected = estimate(
            len(contents.images),
            challenge,
            engine=engine,
            rounds=rounds,
            epochs=epochs,
            device=device,
            test_images=len(test),
        )
    console.print(expected.sentence(epochs, rounds))
    with judging(console, "the images") as on_progress:
        scored = score.judge(
            contents.images,
            test,
            challenge,
            engine=engine,
            rounds=rounds,
            epochs=epochs,
            judge_seed=options.judge_seed,
            device=device,
            on_progress=on_progress,
            checkpoint=checkpoint,
        )
    worth = worth_of(scored.mean, scored.ci95, scored.epochs, challenge)
    sentences = [sentence(scored), *([f"Worth {worth_words(worth)}."] if worth else [])]
    finish(result(challenge, contents, audits, scored, worth), sentences)
    if checkpoint:
        checkpoint.unlink(missing_ok=True)
    return ExitCode.DONE
