"""The commands, nothing else. What is heavy is imported by the command that needs it: `--help` answers at once."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

import typer

from evaluation.base.command_line import ExitCode, add_command
from harness.commands.anytime import AnytimeOptions, anytime
from harness.commands.bench import BenchOptions, bench
from harness.commands.compare import CompareOptions, compare
from harness.commands.doctor import DoctorOptions, doctor
from harness.commands.generators import GeneratorsOptions, generators
from harness.commands.leaderboard import LeaderboardOptions, leaderboard
from harness.commands.new import NewOptions, new
from harness.commands.profile import ProfileOptions, profile
from harness.commands.regress import RegressOptions, regress
from harness.commands.track import TrackOptions, track
from harness.commands.tune import TuneOptions, tune
from harness.run.options import ALL, RunOptions

if TYPE_CHECKING:
    from harness.report.console import Voice

DEFAULT_COMMAND = "run"

app = typer.Typer(
    no_args_is_help=False,
    add_completion=False,
    rich_markup_mode="rich",
    help="A time-budgeted harness for generative dataset distillation: generate under the clock, judge, report.\n\n"
    "`run` is the default: `python -m harness --dataset cifar100` is `python -m harness run --dataset cifar100`.",
)


def run(options: RunOptions, voice: Voice) -> ExitCode:
    """Generate under the clock, audit, judge, record and report."""
    from harness.run.run import run as run_job

    if options.dataset == ALL:
        return _run_all(options, voice)
    finished = run_job(options, voice, ["python", "-m", "harness", *sys.argv[1:]])
    voice.finished(finished.record, finished.report)
    return finished.exit_code


def _run_all(options: RunOptions, voice: Voice) -> ExitCode:
    """Both challenges, and their score at the end."""
    from evaluation.base.container import as_seen_outside
    from harness.report.score_page import score_words
    from harness.run.run_all import run_all

    scored = run_all(options, voice, ["python", "-m", "harness", *sys.argv[1:]])
    if voice.as_json:
        print(scored.score.to_json())
    voice.lines([("Score", score_words(scored.score)), ("Page", as_seen_outside(scored.page))])
    return scored.exit_code


def _voice(as_json: bool) -> Voice:
    from harness.report.console import Voice

    return Voice(as_json)


add = partial(add_command, app, output=_voice)
add(
    RunOptions,
    run,
    loads=("harness.run.run",),
    epilog="Examples:  python -m harness --dataset digits  |  python -m harness --dataset all --data DATA  |  "
    "python -m harness --dataset cifar100 --generator real --budget 20s --data DATA  |  "
    'python -m harness --dataset cifar100 --command "python my_generator.py --out {output} --classes {classes}"',
)
add(
    ProfileOptions,
    profile,
    epilog="Examples:  python -m harness profile --dataset digits  |  "
    "python -m harness profile --generator native --dataset digits --steps 4,8,16 --batch-size 50,100 --out PROFILE",
)
add(
    TuneOptions,
    tune,
    epilog="Examples:  python -m harness tune --dataset digits  |  "
    "python -m harness tune --generator native --dataset digits --steps 4,8,16 --try guidance=1,2 --budget 30s",
)
add(GeneratorsOptions, generators)
add(AnytimeOptions, anytime, epilog="Example:  python -m harness anytime runs/mine --at 60,120,300,600 --data DATA")
add(
    BenchOptions,
    bench,
    epilog="Examples:  python -m harness bench --generators native,gaussian --datasets digits --seeds 3  |  "
    "python -m harness bench --plan bench.yaml --gpus 0-3 --data DATA --out BENCH",
)
add(CompareOptions, compare, epilog="Example:  python -m harness compare runs/before runs/after --fail-below -1.0")
add(
    RegressOptions,
    regress,
    epilog="Examples:  python -m harness regress --baseline FILE.json --update --dataset digits --ipc 1,2,5  |  "
    "python -m harness regress --baseline FILE.json --junit regress.xml",
)
add(LeaderboardOptions, leaderboard, epilog="Example:  python -m harness leaderboard runs BENCH --out SITE")
add(TrackOptions, track, epilog="Example:  python -m harness track runs/mine --to mlflow")
add(NewOptions, new, epilog="Example:  python -m harness new my-model")
add(DoctorOptions, doctor, epilog="Example:  python -m harness doctor --data DATA")


def main() -> None:
    """`python -m harness`: the first word is a command, or `run` is meant."""
    arguments = sys.argv[1:]
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("--help", "-h")):
        arguments = [DEFAULT_COMMAND, *arguments]
    app(args=arguments, prog_name="python -m harness")
