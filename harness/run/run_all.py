"""`--dataset all`: both challenges, each a run with its own clock and folder, and the challenge's score of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from evaluation.base.command_line import ExitCode
from evaluation.base.files import write_text
from evaluation.base.machine import commit, versions
from harness.records.challenge_score import ChallengeScore, ScoredRun, challenge_score
from harness.records.record import Outcome, Record
from harness.records.run_folder import RunFolder, clear, refuse_existing
from harness.report.console import Voice
from harness.report.score_page import render_score
from harness.run.ahead import look_ahead
from harness.run.options import RunOptions
from harness.run.run import run

SCORE, PAGE = "score.json", "score.html"


@dataclass(frozen=True)
class Scored:
    """All runs, as far as they came."""

    score: ChallengeScore
    page: Path
    exit_code: ExitCode


def run_all(options: RunOptions, voice: Voice, command: Sequence[str]) -> Scored:
    """Make and judge the runs of both challenges; the score and its page are written after each of them.

    With `--resume` a run that is done stays, one that was being judged goes on, and one that was interrupted while its
    images were made starts again, as a clock cannot go on.

    Raises:
        ValueError: bad input; found before the first clock, as far as it can be.
    """
    if options.resume and options.out is None:
        raise ValueError("--resume needs --out, the folder of the runs to resume")
    root = options.out or Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S-%f}-all-{options.generator or 'default'}"
    if not options.resume:
        refuse_existing(root)
    parts = options.parts(root)
    for part in parts:
        if not (part.resume and _record(part)):
            look_ahead(part, voice)
    return run_each(parts, root, voice, command)


def run_each(parts: Sequence[RunOptions], root: Path, voice: Voice, command: Sequence[str]) -> Scored:
    """Do every run of `parts`, which lie in `root`, in turn; an interruption ends them all."""
    names = [_folder(part).name for part in parts]
    done: list[ScoredRun] = []
    code = ExitCode.DONE
    for name, part in zip(names, parts, strict=True):
        voice.say(f"Run {len(done) + 1} of {len(parts)}: {part.challenge.title}")
        record, ended = _one(part, voice, command)
        done.append(ScoredRun.of(record, name))
        score = challenge_score(done, names, versions(), commit(), command)
        score.save(root / SCORE)
        write_text(root / PAGE, render_score(score))
        if ended is ExitCode.INTERRUPTED:
            return Scored(score, root / PAGE, ended)
        code = code or ended
    return Scored(score, root / PAGE, code)


def _one(part: RunOptions, voice: Voice, command: Sequence[str]) -> tuple[Record, ExitCode]:
    """One run: new, gone on with, or as it stands where it is done."""
    found = _record(part) if part.resume else None
    if found is not None and (ended := _done(found, part)) is not None:
        voice.say(f"It is done: {_folder(part)}")
        return found, ended
    if part.resume and (found is None or found.clock is None or found.clock.ended_by == "interrupt"):
        if found is not None:
            voice.say("It was interrupted while its images were made; it starts again, as a clock cannot go on.")
        clear(RunFolder(_folder(part)))
        part = replace(part, resume=False)
    finished = run(part, voice, command)
    voice.summarise(finished.record, finished.report)
    return finished.record, finished.exit_code


def _folder(part: RunOptions) -> Path:
    assert part.out is not None, "each part has a folder of its own"
    return part.out


def _record(part: RunOptions) -> Record | None:
    """What is there of the run; None where nothing is recorded. Raises ValueError for a record that is damaged."""
    record = RunFolder(_folder(part)).record
    return Record.load(record) if record.exists() else None


def _done(record: Record, part: RunOptions) -> ExitCode | None:
    """The exit code of a run that is done as `part` asks; None where there is something left to do."""
    if record.clock is None or record.outcome is Outcome.INTERRUPTED:
        return None
    if not record.images:
        return ExitCode.NOTHING_TO_JUDGE
    if not part.judged:
        return ExitCode.DONE if record.audits else None
    score = record.accuracy
    as_asked = score is not None and (score.epochs, len(score.rounds)) == (part.epochs, part.rounds)
    return ExitCode.DONE if as_asked else None
