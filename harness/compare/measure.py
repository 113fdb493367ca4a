"""Measuring a task of `regress`: one run under its own clock, judged at several images per class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evaluation.base.challenge import get_challenge
from evaluation.base.command_line import ExitCode
from evaluation.base.images import first_index
from evaluation.base.machine import resolve_device
from evaluation.base.untrusted import NothingToJudgeError
from evaluation.data.datasets import load_split
from evaluation.judge.score import Score
from harness.compare.baseline import Measurement, Task, machine_facts
from harness.records.anytime import How
from harness.records.run_folder import RunFolder
from harness.report.console import Voice
from harness.run.collect import recollect
from harness.run.judging import Judge
from harness.run.run import run


@dataclass(frozen=True)
class Place:
    """Where a measurement is taken: folder of the run, None for a new one; torch device; folder of the real data."""

    out: Path | None
    device: str
    data: Path | None


def measure(task: Task, where: Place, calibrated: bool, voice: Voice, command: list[str]) -> Measurement:
    """Generate once, then judge the first images of each class at every IPC that the run reached.

    Args:
        calibrated: also measure how fast the machine is.
        command: the command line, for the run's record.

    Raises:
        ValueError: bad input.
        NothingToJudgeError: the generator left no image.
        KeyboardInterrupt: it was interrupted.
    """
    challenge, device = get_challenge(task.dataset), resolve_device(where.device)
    calibration = None
    if calibrated:
        from harness.cards.calibration import calibrate

        voice.say("Measuring this machine's speed, before the clock.")
        calibration = calibrate(device)
    finished = run(task.run_options(where.out, where.device, where.data), voice, command)
    record, folder = finished.record, RunFolder(finished.folder)
    if finished.exit_code is ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    if record.ipc is None or record.clock is None or record.throughput is None:
        raise NothingToJudgeError(f"{record.generator} left nothing to judge: {record.outcome.value}. {record.detail}")
    collected = recollect(folder.images, challenge, record.images_hash)
    assert collected.contents is not None, "the record has counted images"
    images = collected.contents.images
    how = How(engine=task.engine, epochs=task.epochs, rounds=task.rounds, judge_seed=task.judge_seed)
    judge = Judge(challenge, load_split(challenge, "test", where.data), how, device, voice)
    scores: dict[int, Score] = {}
    for ipc in (each for each in task.ipc if each <= record.ipc.min):
        checkpoint = folder.root / f"regress-{ipc}.ckpt"
        scores[ipc] = judge.score(f"IPC {ipc}", images.take(first_index(images.labels, ipc)), checkpoint)
        checkpoint.unlink(missing_ok=True)
    return Measurement(
        task=task,
        generator=record.generator,
        outcome=record.outcome.value,
        ended_by=record.clock.ended_by,
        ipc=record.ipc.mean,
        least=record.ipc.min,
        images_hash=record.images_hash,
        scores=scores,
        images_per_s=record.throughput.images_per_s,
        calibration=calibration,
        machine=machine_facts(device),
    )
