"""The judge's commands. What is heavy is imported by the command that needs it: `--help` answers at once."""

import sys

from typer import Typer

from evaluation.base.command_line import add_command
from evaluation.commands.audit import AuditOptions, audit
from evaluation.commands.curve import CurveOptions, curve
from evaluation.commands.export import ExportOptions, export
from evaluation.commands.judge import JudgeOptions, judge

app = Typer(
    add_completion=False,
    help="The judge alone: train the challenge's network on a submission, audit it, measure real images.\n\n"
    "`judge` is the default: `python -m evaluation FOLDER --dataset cifar100`.",
)
_CALL = "Example:  python -m evaluation"
_LOADS = ("evaluation.audits.run", "evaluation.judge.score", "evaluation.submitted.reading")
add_command(
    app, JudgeOptions, judge, f"{_CALL} runs/mine --dataset cifar100 --rounds 1 --epochs 100", output=bool, loads=_LOADS
)
add_command(app, AuditOptions, audit, f"{_CALL} audit runs/mine --dataset cifar100", output=bool, loads=_LOADS)
add_command(app, CurveOptions, curve, f"{_CALL} curve --dataset digits --ipc 1,2,5,10 --out curve.json", loads=_LOADS)
add_command(
    app, ExportOptions, export, f"{_CALL} export runs/mine --dataset cifar100 --out cifar100.pt --ipc 10", loads=_LOADS
)


def main() -> None:
    """`python -m evaluation`: the first word is a command, or `judge` is meant."""
    arguments = sys.argv[1:]
    if arguments and arguments[0] not in ("judge", "audit", "curve", "export", "--help"):
        arguments = ["judge", *arguments]
    app(args=arguments or ["--help"], prog_name="python -m evaluation")
