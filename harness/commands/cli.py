"""The commands, nothing else. What is heavy is imported by the command that needs it: `--help` answers at once."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from evaluation.base.exits import guarded

app = typer.Typer(
    no_args_is_help=False,
    add_completion=False,
    rich_markup_mode="rich",
    help="A time-budgeted harness for generative dataset distillation: generate under the clock, judge, report.\n\n"
    "`run` is the default: `python -m harness --dataset cifar100` is `python -m harness run --dataset cifar100`.",
)

DEFAULT_COMMAND = "run"

Dataset = Annotated[str, typer.Option("--dataset", help="cifar100, tiny-imagenet or digits.")]
Data = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of the real data sets. Default: SUBMISSION_DATA, then the cache."),
]
Pda = Annotated[
    int,
    typer.Option("--pda", help="Images in all for each generated one, the others augmented copies; the paper's: 5."),
]
Prompts = Annotated[
    Path | None,
    typer.Option("--prompts", help="Your own prompts for every class, a JSON object by class name or lines in order."),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else there.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


@app.command(
    epilog="Examples:  python -m harness --dataset digits  |  "
    "python -m harness --dataset cifar100 --generator real --budget 20s --data DATA  |  "
    'python -m harness --dataset cifar100 --command "python my_generator.py --out {output} --classes {classes}"'
)
def run(
    dataset: Dataset,
    generator: Annotated[
        str | None,
        typer.Option(
            "--generator",
            help="Which generator; `generators` lists them. Default: native, matched or gaussian, as shipped.",
        ),
    ] = None,
    command: Annotated[
        str | None,
        typer.Option(
            "--command",
            help="Anybody's program instead. Placeholders: {output} {dataset} {budget} {seed} {classes}.",
        ),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="Wall-clock budget: 600, 600s, 10m. Default: the data set's.")
    ] = None,
    steps: Annotated[str, typer.Option(help="Denoising steps: auto or a number.")] = "auto",
    batch_size: Annotated[int | None, typer.Option(help="Images per call of the generator.")] = None,
    ipc: Annotated[
        str | None, typer.Option(help="Images per class to stop at, or `none` for as many as the clock allows.")
    ] = None,
    pda: Pda = 1,
    prompts: Prompts = None,
    data: Data = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run. Default: runs/<time>-<dataset>-<generator>.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Makes the images.")] = 0,
    weights: Annotated[str | None, typer.Option(help="A local file or folder of weights.")] = None,
    setting: Annotated[list[str] | None, typer.Option("--set", help="A generator's own setting, NAME=VALUE.")] = None,
    keep: Annotated[
        float, typer.Option(help="Keep this share of the images made, the likeliest of their class; 1 drops none.")
    ] = 1.0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    grace: Annotated[str | None, typer.Option(help="Send SIGTERM this much before the deadline, e.g. 2s.")] = None,
    judge: Annotated[bool, typer.Option("--judge/--no-judge", help="Judge the images after generating.")] = True,
    strict: Annotated[
        bool, typer.Option("--strict", help="A failed audit is fatal: nothing is judged, exit code 1.")
    ] = False,
    rounds: Annotated[int, typer.Option(help="Trainings of the judge's network; fewer than 3 is a preview.")] = 3,
    epochs: Annotated[int, typer.Option(help="Epochs of each; fewer than 1000 is a preview.")] = 1000,
    engine: Annotated[str, typer.Option(help="The judge's engine: fast or reference.")] = "fast",
    judge_seed: Annotated[int, typer.Option(help="Makes the rounds.")] = 0,
    as_card: Annotated[
        str | None, typer.Option("--as", help="Another card's budget, scaled to this machine: rtx4090 or rtx3090.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on judging the run in --out.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Generate under the clock, audit, judge, record and report."""
    with guarded(debug):
        from evaluation.base.durations import parse_duration
        from evaluation.data.datasets import data_folder
        from harness.commands.inputs import parse_ipc, parse_settings, parse_steps, with_prompts
        from harness.run.options import RunOptions

        options = RunOptions(
            dataset=dataset,
            generator=generator,
            command=command,
            budget_s=parse_duration(budget) if budget is not None else None,
            steps=parse_steps(steps),
            batch_size=batch_size,
            ipc=parse_ipc(ipc),
            data=data_folder(data),
            out=out,
            seed=seed,
            weights=weights,
            settings=with_prompts(parse_settings(setting or []), prompts, dataset),
            pda=pda,
            keep=keep,
            device=device,
            grace_s=parse_duration(grace) if grace is not None else 0.0,
            judged=judge,
            strict=strict,
            rounds=rounds,
            epochs=epochs,
            engine=engine,
            judge_seed=judge_seed,
            as_card=as_card,
            resume=resume,
        )
        from harness.report.console import Voice
        from harness.run.run import run as run_job

        voice = Voice(as_json)
        finished = run_job(options, voice, ["python", "-m", "harness", *sys.argv[1:]])
        voice.finished(finished.record, finished.folder)
        raise typer.Exit(finished.exit_code)


@app.command(
    epilog="Examples:  python -m harness profile --dataset digits  |  "
    "python -m harness profile --generator native --dataset digits --steps 4,8,16 --batch-size 50,100 --out PROFILE"
)
def profile(
    dataset: Dataset,
    generator: Annotated[str | None, typer.Option("--generator", help="Which generator, as in `run`.")] = None,
    weights: Annotated[str | None, typer.Option(help="A local file or folder of weights.")] = None,
    setting: Annotated[list[str] | None, typer.Option("--set", help="A generator's own setting, NAME=VALUE.")] = None,
    steps: Annotated[
        str | None, typer.Option(help="Step counts: 4,8,16. Default: the generator's own and half of it.")
    ] = None,
    batch_size: Annotated[
        str | None, typer.Option(help="Batch sizes: 32,64. Default: doubled until it gains less than 3%.")
    ] = None,
    budget: Annotated[str | None, typer.Option(help="Predict for this budget. Default: the data set's.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    pda: Pda = 1,
    prompts: Prompts = None,
    data: Data = None,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Measure the compiled generator as well, and whether that pays.")
    ] = False,
    refresh: Annotated[bool, typer.Option("--refresh", help="Measure again, whatever is in the cache.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for a page with plots and the profile as JSON.")] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Measure a generator on this machine: seconds per batch, memory, start; and the images per class they give."""
    with guarded(debug):
        from evaluation.base.durations import parse_duration
        from evaluation.data.datasets import data_folder
        from harness.commands.inputs import parse_settings, with_prompts
        from harness.commands.profile import ProfileOptions, parse_counts, profile_generator
        from harness.planning.measure import Wanted

        wanted = Wanted(parse_counts(steps, "--steps"), parse_counts(batch_size, "--batch-size"))
        options = ProfileOptions(
            dataset=dataset,
            generator=generator,
            weights=weights,
            settings=with_prompts(parse_settings(setting or []), prompts, dataset),
            pda=pda,
            wanted=wanted,
            device=device,
            data=data_folder(data),
            budget_s=parse_duration(budget) if budget is not None else None,
            compiled=compiled,
            refresh=refresh,
            out=out,
            as_json=as_json,
        )
        raise typer.Exit(profile_generator(options))


@app.command(
    epilog="Examples:  python -m harness tune --dataset digits  |  "
    "python -m harness tune --generator native --dataset digits --steps 4,8,16 --try guidance=1,2 --budget 30s"
)
def tune(
    dataset: Dataset,
    generator: Annotated[str | None, typer.Option("--generator", help="Which generator, as in `run`.")] = None,
    weights: Annotated[str | None, typer.Option(help="A local file or folder of weights.")] = None,
    steps: Annotated[
        str | None, typer.Option(help="Step counts to try: 4,8,16. Default: around the generator's own.")
    ] = None,
    tried: Annotated[
        list[str] | None, typer.Option("--try", help="A setting to try, NAME=VALUE,VALUE, with every step count.")
    ] = None,
    setting: Annotated[list[str] | None, typer.Option("--set", help="A setting of all candidates, NAME=VALUE.")] = None,
    budget: Annotated[str | None, typer.Option(help="Tune for this budget. Default: the data set's.")] = None,
    ipc: Annotated[str | None, typer.Option(help="Tune for runs with this --ipc.")] = None,
    rounds: Annotated[int, typer.Option(help="Trainings of the judge's network for each pilot.")] = 3,
    epochs: Annotated[int, typer.Option(help="Epochs of each.")] = 100,
    seed: Annotated[int, typer.Option(help="Makes the images.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    pda: Pda = 1,
    prompts: Prompts = None,
    data: Data = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the result. Default: runs/<time>-tune-...")] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Choose the step count that buys the most accuracy with the budget; `run` picks it up."""
    with guarded(debug):
        from evaluation.base.durations import parse_duration
        from evaluation.data.datasets import data_folder
        from harness.commands.inputs import parse_ipc, parse_settings, parse_tried, with_prompts
        from harness.commands.profile import parse_counts
        from harness.commands.tune import TuneOptions, tune_generator

        options = TuneOptions(
            dataset=dataset,
            generator=generator,
            weights=weights,
            steps=parse_counts(steps, "--steps"),
            tried=parse_tried(tried or []),
            settings=with_prompts(parse_settings(setting or []), prompts, dataset),
            pda=pda,
            budget_s=parse_duration(budget) if budget is not None else None,
            ipc=parse_ipc(ipc),
            rounds=rounds,
            epochs=epochs,
            seed=seed,
            device=device,
            data=data_folder(data),
            out=out,
            as_json=as_json,
        )
        raise typer.Exit(tune_generator(options))


@app.command()
def generators(
    dataset: Annotated[str | None, typer.Option("--dataset", help="Only say what can run on this one.")] = None,
    data: Data = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Every generator: what it is, where its weights come from, and for which data sets it has all that it needs."""
    with guarded(debug):
        from evaluation.data.datasets import data_folder
        from harness.commands.generators import show_generators

        show_generators(dataset, data_folder(data), as_json)


@app.command(epilog="Example:  python -m harness anytime runs/mine --at 60,120,300,600 --data DATA")
def anytime(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    at: Annotated[str | None, typer.Option(help="Moments, comma-separated: 60,120,5m. Default: --points.")] = None,
    points: Annotated[int, typer.Option(help="So many moments, evenly spread over the time used.")] = 5,
    rounds: Annotated[int | None, typer.Option(help="Of each judgement. Default: as the run was judged.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Of each judgement. Default: as the run was judged.")] = None,
    judge_seed: Annotated[int | None, typer.Option(help="Makes the rounds. Default: the run's.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    data: Data = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Accuracy by the seconds used: judge what a run had on disk at each moment; plot and area under the curve."""
    with guarded(debug):
        from evaluation.data.datasets import data_folder
        from harness.commands.anytime import AnytimeOptions, show_anytime
        from harness.commands.anytime import anytime as measure
        from harness.commands.inputs import parse_moments
        from harness.report.console import Voice

        voice = Voice(as_json)
        options = AnytimeOptions(run, parse_moments(at), points, epochs, rounds, judge_seed, device, data_folder(data))
        show_anytime(measure(options, voice), run, voice)


@app.command(epilog="Example:  python -m harness doctor --data DATA")
def doctor(data: Data = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """What this machine can run, and what is missing, in plain words; exit code 0 if `run --dataset digits` works."""
    with guarded(debug):
        from evaluation.data.datasets import data_folder
        from harness.commands.doctor import examine, show_checks

        os.environ["HF_HUB_OFFLINE"] = "1"  # no library that could ask a model hub does so here
        raise typer.Exit(show_checks(examine(data_folder(data)), as_json))


def main() -> None:
    """`python -m harness`: the first word is a command, or `run` is meant."""
    arguments = sys.argv[1:]
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("--help", "-h")):
        arguments = [DEFAULT_COMMAND, *arguments]
    app(args=arguments, prog_name="python -m harness")
