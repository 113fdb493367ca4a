"""`python -m evaluation judge`: audit a submission and score it."""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from evaluation.base.challenge import get_challenge
from evaluation.base.command_line import (
    Data,
    Dataset,
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

Submission = Annotated[Path, Argument(help="A run, a folder of class folders or shards, a .pt file or an .npz shard.")]
ClassOrder = Annotated[
    Path | None, Option(help="A file that says which class each stored one is, as `audit` writes it.")
]


@dataclass(frozen=True)
class JudgeOptions(Options):
    submission: Submission
    dataset: Dataset
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
    """Train the challenge's network on a submission and score it on the real test set."""
    from evaluation.audits.run import run_audits
    from evaluation.base.cache import cache_folder
    from evaluation.base.images import content_hash
    from evaluation.base.machine import resolve_device
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
    from evaluation.curve.real_equivalent import worth_of, worth_words
    from evaluation.data.datasets import load_split
    from evaluation.judge import score
    from evaluation.judge.estimate import estimate
    from evaluation.submitted.reading import read_submission

    challenge, device = get_challenge(options.dataset), resolve_device(options.device)
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
        checkpoint = checkpoint_if_writable(kept, partial(console.print, markup=False))
    with loading(console, challenge, options.data):
        test = load_split(challenge, "test", options.data)
        train = load_split(challenge, "train", options.data) if options.audits else None

    ipc = len(contents.images) / challenge.classes
    console.print(f"{challenge.title}: {len(contents.images):,} images, IPC {ipc:g}", markup=False)
    for warning in contents.warnings:
        console.print(f"Note: {warning}", markup=False)
    audits = []
    if train:
        with auditing(console) as on_audit:
            audits = run_audits(contents, challenge, train, test, on_audit)
    show_audits(console, audits)
    if options.strict and any_failed(audits):
        if as_json:
            print(json.dumps(result(challenge, contents, audits), indent=2))
        console.print("Not judged: an audit failed, which --strict makes fatal.")
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
    console.print(expected.sentence(epochs, rounds), markup=False)
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
    if as_json:
        print(json.dumps(result(challenge, contents, audits, scored, worth), indent=2))
    else:
        console.print(sentence(scored), markup=False)
        if worth:
            console.print(f"Worth {worth_words(worth)}.", markup=False)
    if checkpoint:
        checkpoint.unlink(missing_ok=True)
    return ExitCode.DONE
