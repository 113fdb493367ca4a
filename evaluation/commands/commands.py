"""What the judge's commands do, once their words are parsed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.audits.audit import Audit, distinct_ipc
from evaluation.audits.run import run_audits
from evaluation.base.challenge import Challenge, get_challenge
from evaluation.base.device import resolve_device
from evaluation.base.exits import ExitCode
from evaluation.base.files import check_writable
from evaluation.base.images import NormalisedSet, content_hash
from evaluation.base.progress_bar import plain_console
from evaluation.base.untrusted import UnreadableFileError, read_regular
from evaluation.commands.display import judging, show_audits
from evaluation.curve.real_equivalent import worth_of, worth_words
from evaluation.data.datasets import cache_folder, data_folder, load_split
from evaluation.formats.tensors import write_tensor
from evaluation.judge.estimate import estimate
from evaluation.judge.score import Score, check_judging, judge
from evaluation.submitted.class_order_file import read_order, reorder, write_order
from evaluation.submitted.contents import FolderContents
from evaluation.submitted.reading import read_images

_MAX_RECORD_BYTES = 2**26  # of a run's record.json


def judge_submission(
    submission: Path,
    dataset: str,
    data: Path | None,
    *,
    engine: str,
    rounds: int,
    epochs: int,
    judge_seed: int,
    device: str,
    class_order: Path | None,
    checkpoint: Path | None,
    audited: bool,
    strict: bool,
    as_json: bool,
) -> ExitCode:
    """Audit and judge what lies at `submission`; print the result. Raises ValueError for bad input."""
    challenge, device = get_challenge(dataset), resolve_device(device)
    check_judging(engine, rounds, epochs)
    contents = read_submission(submission, challenge, class_order)
    if checkpoint is None:
        of = f"{content_hash(contents.images)[:32]}-{engine}-{epochs}-{judge_seed}-{device}"
        checkpoint = cache_folder() / "judge" / f"{challenge.name}-{of}.ckpt"
    check_writable(checkpoint)
    folder = data_folder(data)
    test = load_split(challenge, "test", folder)
    console = plain_console(stderr=as_json)
    ipc = counts(contents, challenge)
    console.print(f"{challenge.title}: {len(contents.images):,} images, IPC {ipc['mean']:g}", markup=False)
    for warning in contents.warnings:
        console.print(f"Note: {warning}", markup=False)
    audits = run_audits(contents, challenge, load_split(challenge, "train", folder), test) if audited else []
    show_audits(console, audits)
    ipc["distinct"] = distinct_ipc(audits)
    if verdict(audits, strict) is not ExitCode.DONE:
        if as_json:
            print(json.dumps(result(challenge, contents, ipc, None, audits), indent=2))
        console.print("Not judged: an audit failed, which --strict makes fatal.")
        return ExitCode.REGRESSION
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
        score = judge(
            contents.images,
            test,
            challenge,
            engine=engine,
            rounds=rounds,
            epochs=epochs,
            judge_seed=judge_seed,
            device=device,
            on_progress=on_progress,
            checkpoint=checkpoint,
        )
    if as_json:
        print(json.dumps(result(challenge, contents, ipc, score, audits), indent=2))
    else:
        console.print(sentence(score), markup=False)
        if worth := worth_of(score.mean, score.ci95, score.epochs, challenge):
            console.print(f"Worth {worth_words(worth)}.", markup=False)
    checkpoint.unlink(missing_ok=True)
    return ExitCode.DONE


def audit_submission(
    submission: Path,
    dataset: str,
    data: Path | None,
    *,
    class_order: Path | None,
    write_class_order: Path | None,
    strict: bool,
    as_json: bool,
) -> ExitCode:
    """Audit what lies at `submission`; print the findings. Raises ValueError for bad input."""
    challenge = get_challenge(dataset)
    if write_class_order is not None:
        check_writable(write_class_order)
    contents = read_submission(submission, challenge, class_order)
    folder = data_folder(data)
    train, test = load_split(challenge, "train", folder), load_split(challenge, "test", folder)
    audits = run_audits(contents, challenge, train, test)
    console = plain_console(stderr=as_json)
    if as_json:
        ipc = {**counts(contents, challenge), "distinct": distinct_ipc(audits)}
        found = {"dataset": challenge.name, "images": len(contents.images), "ipc": ipc}
        print(json.dumps({**found, "audits": [asdict(audit) for audit in audits]}, indent=2))
    show_audits(console, audits)
    order = next((audit.numbers["order"] for audit in audits if "order" in audit.numbers), None)
    if write_class_order is not None:
        write_order(write_class_order, np.array(order or range(challenge.classes), np.int64), challenge)
        told = "The order that the images suggest" if order else "No other order is suggested: the one as given"
        console.print(f"{told} is in {write_class_order}; judge with --class-order.", markup=False)
    return verdict(audits, strict)


def export_tensor(submission: Path, dataset: str, out: Path, ipc: int | None) -> None:
    """Write the challenge's `.pt` of a submission. Raises ValueError for bad input."""
    challenge = get_challenge(dataset)
    check_writable(out)
    images = read_images(submission, challenge).images
    if isinstance(images, NormalisedSet):
        raise ValueError(f"{submission} is in the challenge's format already; copy the file")
    write_tensor(out, images, challenge, ipc)
    plain_console().print(f"{out}: a float32 tensor, class after class, normalised", markup=False)


def read_submission(submission: Path, challenge: Challenge, class_order: Path | None) -> FolderContents:
    """Read it, hold it against the hash in its record where it is a run, and put its classes in order if asked.

    Raises:
        ValueError: it cannot be read, or its images are not those that its run made.
    """
    contents = read_images(submission, challenge)
    record = submission / "record.json"
    if record.is_file():
        made = _images_hash(record)
        if made is not None and made != content_hash(contents.images):
            raise ValueError(
                f"the images in {submission} are not those that its run made; give {submission / 'images'} to judge"
                " them as a folder"
            )
    return reorder(contents, read_order(class_order, challenge)) if class_order else contents


def _images_hash(record: Path) -> str | None:
    """The hash of the images that a run's record tells. Raises ValueError where it is no record."""
    try:
        told = json.loads(read_regular(record, _MAX_RECORD_BYTES))
        if not isinstance(told, dict):
            raise TypeError
    except (UnreadableFileError, ValueError, TypeError):
        raise ValueError(
            f"{record} is no record of a run; give {record.parent / 'images'} to judge the images as a folder"
        ) from None
    return told.get("images_hash")


def counts(contents: FolderContents, challenge: Challenge) -> dict[str, Any]:
    """`ipc` as the record has it, nothing counted as a copy."""
    per_class = np.bincount(contents.images.labels, minlength=challenge.classes)
    mean = len(contents.images) / challenge.classes
    return {"mean": mean, "min": int(per_class.min()), "max": int(per_class.max()), "distinct": None}


def result(
    challenge: Challenge, contents: FolderContents, ipc: dict[str, Any], score: Score | None, audits: Sequence[Audit]
) -> dict[str, Any]:
    """What `--json` prints, with the inner forms of a record; without a score, what there is before one."""
    told = {
        "dataset": challenge.name,
        "images": len(contents.images),
        "ipc": ipc,
        "accuracy": asdict(score) if score else None,
        "audits": [asdict(audit) for audit in audits],
    }
    if score is None:
        return told
    worth = worth_of(score.mean, score.ci95, score.epochs, challenge)
    return {
        **told,
        "engine": score.engine,
        "epochs": score.epochs,
        "rounds": len(score.rounds),
        "real_equivalent_ipc": worth.ipc if worth else None,
        "real_equivalent": asdict(worth) if worth else None,
    }


def sentence(score: Score) -> str:
    """`Accuracy 33.10% [32.40, 33.80], std 0.28, n = 3`; what differs from the protocol behind it."""
    interval = " (one round, no interval)"
    if score.ci95 is not None and score.std is not None:
        low, high = score.ci95
        interval = f" [{100 * low:.2f}, {100 * high:.2f}], std {100 * score.std:.2f}, n = {len(score.rounds)}"
    return " ".join([f"Accuracy {100 * score.mean:.2f}%{interval}.", *score.deviations])


def verdict(audits: Sequence[Audit], strict: bool) -> ExitCode:
    """With `strict` a failed audit is fatal."""
    failed = any(audit.status == "fail" for audit in audits)
    return ExitCode.REGRESSION if strict and failed else ExitCode.DONE
