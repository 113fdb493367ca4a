"""The judge's commands: judge, audit, curve, export. `judge` is the default verb."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from evaluation.base.exits import guarded

app = typer.Typer(
    add_completion=False,
    help="The judge alone: train the challenge's network on a submission, audit it, measure real images.\n\n"
    "`judge` is the default: `python -m evaluation FOLDER --dataset cifar100`.",
)

COMMANDS = ("judge", "audit", "curve", "export")

Submission = Annotated[
    Path, typer.Argument(help="A run, a folder of class folders or shards, a .pt file or an .npz shard.")
]
Dataset = Annotated[str, typer.Option("--dataset", help="cifar100, tiny-imagenet or digits.")]
Data = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of the real data sets. Default: SUBMISSION_DATA, then the cache."),
]
Rounds = Annotated[int, typer.Option(help="Trainings of the judge's network; fewer than 3 is a preview.")]
Epochs = Annotated[int, typer.Option(help="Epochs of each; fewer than 1000 is a preview.")]
Engine = Annotated[str, typer.Option(help="fast or reference.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
ClassOrder = Annotated[
    Path | None, typer.Option(help="A file that says which class each stored one is, as the audit writes it.")
]
Strict = Annotated[bool, typer.Option("--strict", help="A failed audit is fatal: nothing is trained, exit code 1.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else there.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


@app.command(epilog="Example:  python -m evaluation runs/mine --dataset cifar100 --rounds 1 --epochs 100")
def judge(
    submission: Submission,
    dataset: Dataset,
    data: Data = None,
    engine: Engine = "fast",
    rounds: Rounds = 3,
    epochs: Epochs = 1000,
    judge_seed: Annotated[int, typer.Option(help="Makes the rounds.")] = 0,
    device: Device = "auto",
    class_order: ClassOrder = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="A file to go on from after an interruption, removed at the end. Default: in the cache."),
    ] = None,
    audits: Annotated[bool, typer.Option("--audits/--no-audits", help="Audit before judging.")] = True,
    strict: Strict = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Train the challenge's network on a submission and score it on the real test set."""
    with guarded(debug):
        from evaluation.commands.commands import judge_submission

        code = judge_submission(
            submission,
            dataset,
            data,
            engine=engine,
            rounds=rounds,
            epochs=epochs,
            judge_seed=judge_seed,
            device=device,
            class_order=class_order,
            checkpoint=checkpoint,
            audited=audits,
            strict=strict,
            as_json=as_json,
        )
        raise typer.Exit(code)


@app.command(epilog="Example:  python -m evaluation audit runs/mine --dataset cifar100")
def audit(
    submission: Submission,
    dataset: Dataset,
    data: Data = None,
    class_order: ClassOrder = None,
    write_class_order: Annotated[
        Path | None, typer.Option(help="Write the class order that the images suggest to this file.")
    ] = None,
    strict: Strict = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Hold a submission against every audit: class order, leakage, copies, diversity, balance, pixels, files."""
    with guarded(debug):
        from evaluation.commands.commands import audit_submission

        code = audit_submission(
            submission,
            dataset,
            data,
            class_order=class_order,
            write_class_order=write_class_order,
            strict=strict,
            as_json=as_json,
        )
        raise typer.Exit(code)


@app.command(epilog="Example:  python -m evaluation curve --dataset digits --ipc 1,2,5,10 --out curve.json")
def curve(
    dataset: Dataset,
    out: Annotated[Path, typer.Option(help="The JSON file; points that it holds already are not measured again.")],
    submission: Annotated[
        Path | None,
        typer.Option("--of", help="A submission: its first images of each class. Default: random real images."),
    ] = None,
    ipc: Annotated[str, typer.Option(help="Images per class, comma-separated.")] = "1,2,5,10,20,50,100,200,400",
    data: Data = None,
    rounds: Rounds = 3,
    epochs: Epochs = 1000,
    engine: Engine = "fast",
    device: Device = "auto",
    debug: Debug = False,
) -> None:
    """Measure random real images by IPC, or a submission's; point by point, an interruption costs minutes at most."""
    with guarded(debug):
        from evaluation.commands.curve import measure_curve

        measure_curve(submission, dataset, out, ipc, data, rounds=rounds, epochs=epochs, device=device, engine=engine)


@app.command(epilog="Example:  python -m evaluation export runs/mine --dataset cifar100 --out cifar100.pt --ipc 10")
def export(
    submission: Submission,
    dataset: Dataset,
    out: Annotated[Path, typer.Option(help="The .pt file to write.")],
    ipc: Annotated[
        int | None, typer.Option(help="Keep this many images of each class. Default: all, equally many.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Write a submission as the challenge's own evaluator reads it: class-major, normalised, float32."""
    with guarded(debug):
        from evaluation.commands.commands import export_tensor

        export_tensor(submission, dataset, out, ipc)


def main() -> None:
    """`python -m evaluation`: the first word is a command, or `judge` is meant."""
    arguments = sys.argv[1:]
    if arguments and arguments[0] not in (*COMMANDS, "--help"):
        arguments = ["judge", *arguments]
    app(args=arguments or ["--help"], prog_name="python -m evaluation")
