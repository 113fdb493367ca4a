"""One part of judging a run, for another machine to do: `python -m harness.run.part --out RUN --round 0`.

A round leaves `RUN/judging-<index>.ckpt`, random real images leave their score in `RUN/.baselines`. `run --resume` with
the same options of judging takes them for its own, so the record is that of a run which was judged in one piece.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from evaluation.base.command_line import Data, Device, Engine, Epochs, ExitCode, JudgeSeed, Options, Rounds, add_command
from evaluation.base.interruption import as_a_command
from evaluation.base.limits import limit_threads


@dataclass(frozen=True)
class PartOptions(Options):
    """The judge's options as for `run`, and which part of its work to do."""

    out: Annotated[Path, Option(help="Folder of the run; its images have been counted.")]
    round: Annotated[int | None, Option(min=0, help="Train this round, from 0.")] = None
    real: Annotated[bool, Option("--real", help="Judge random real images.")] = False
    rounds: Rounds = 3
    epochs: Epochs = 1000
    engine: Engine = "fast"
    judge_seed: JudgeSeed = 0
    device: Device = "auto"
    data: Data = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.real is (self.round is not None):
            raise ValueError("name one part: --round INDEX or --real")
        if self.round is not None and self.round >= self.rounds:
            raise ValueError(f"--round {self.round} is none of {self.rounds} rounds, the first of which is 0")


def part(options: PartOptions) -> ExitCode:
    """Train one round of a run's judgement, or judge random real images beside it."""
    from evaluation.base.challenge import get_challenge
    from evaluation.base.machine import resolve_device
    from evaluation.data.datasets import load_split
    from evaluation.judge.score import train_some
    from harness.records.anytime import How
    from harness.records.record import Record
    from harness.records.run_folder import existing_folder
    from harness.report.console import Voice
    from harness.run.collect import recollect
    from harness.run.judging import Judge, judge_baseline
    from harness.run.real_baseline import write_score

    folder = existing_folder(options.out)
    record = Record.load(folder.record)
    challenge, voice = get_challenge(record.dataset), Voice(as_json=False)
    how = How(engine=options.engine, epochs=options.epochs, rounds=options.rounds, judge_seed=options.judge_seed)
    test = load_split(challenge, "test", options.data)
    judge = Judge(challenge, test, how, resolve_device(options.device), voice)
    if options.round is None:
        train = load_split(challenge, "train", options.data)
        baseline, kept = judge_baseline(judge, record.images, train, folder)
        write_score(folder.baselines / kept.name, baseline.accuracy)
        folder.baseline_checkpoint.unlink(missing_ok=True)
        return ExitCode.DONE
    collected = recollect(folder.images, challenge, record.images_hash)
    assert collected.contents is not None, "the record has counted images"
    with voice.judging(f"the images, round {options.round}") as on_progress:
        train_some(
            collected.contents.images,
            test,
            challenge,
            [options.round],
            **how.model_dump(),
            device=judge.device,
            on_progress=on_progress,
            checkpoint=folder.round_checkpoint(options.round),
        )
    return ExitCode.DONE


if __name__ == "__main__":
    with as_a_command():
        limit_threads()
        app = typer.Typer(add_completion=False)
        add_command(app, PartOptions, part)
        app(prog_name="python -m harness.run.part")
