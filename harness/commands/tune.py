"""`tune`: find the step count, and the settings beside it, that buy the most accuracy with the budget."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from evaluation.base.command_line import ExitCode, parse_counts
from evaluation.base.durations import show_duration
from harness.run.options import ImagesOptions, parse_settings
from submission.contract.generator import get_generator

if TYPE_CHECKING:
    from harness.clock.launch import Needs
    from harness.planning.planner import Prediction
    from harness.report.console import Voice
    from harness.tuning.stored_choice import TunedChoice
    from harness.tuning.successive_halving import Candidate, CandidateResult, Tuning
    from submission.contract.job import Job

MAX_HELD_OUT = 5000
# Of the training split, where the generator reads training images itself: these are withheld from it.
HELD_OUT_FRACTION = 0.3

Tried = Mapping[str, Sequence[str]]


def parse_tried(pairs: list[str]) -> dict[str, tuple[str, ...]]:
    """`NAME=VALUE,VALUE` pairs. Raises ValueError for a pair without `=`, and for a name or a value given twice."""
    tried = {name: tuple(values.split(",")) for name, values in parse_settings(pairs).items()}
    for name, values in tried.items():
        if len(set(values)) < len(values):
            raise ValueError(f"{name} has a value twice")
    return tried


@dataclass(frozen=True)
class TuneOptions(ImagesOptions):
    """Options of `tune`; settings and PDA are those of all candidates."""

    steps: Annotated[
        tuple[int, ...],
        Option(parser=parse_counts, help="Step counts to try: 4,8,16. Default: around the generator's own."),
    ] = ()
    tried: Annotated[
        Tried,
        Option("--try", parser=parse_tried, help="A setting to try, NAME=VALUE,VALUE, with every step count."),
    ] = field(default_factory=dict)
    rounds: Annotated[int, Option(min=1, help="Trainings of the judge's network for each pilot.")] = 3
    epochs: Annotated[int, Option(min=1, help="Epochs of each training.")] = 100
    out: Annotated[Path | None, Option(help="Folder of the result. Default: runs/<time>-tune-...")] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if twice := sorted(set(self.tried) & set(self.settings)):
            raise ValueError(f"--set and --try both name {twice[0]}; a setting is either fixed or tried")
        if "pda" in self.tried and self.pda != 1:
            raise ValueError("--pda and --try both name pda; it is either fixed or tried")


def tune(options: TuneOptions, voice: Voice) -> ExitCode:
    """Choose the step count that buys the most accuracy with the budget; `run` picks it up."""
    import numpy as np

    from evaluation.base.images import ImageSet, balanced_split
    from evaluation.data.datasets import load_split
    from harness.report.tune_page import COLUMNS, rows, write_page
    from harness.run.generation import fetch_needs
    from harness.tuning.pilots import Pilots
    from harness.tuning.stored_choice import store_choice
    from harness.tuning.successive_halving import candidates_of, choose

    challenge, maker = options.challenge, get_generator(options.generator_name)
    began, needs = time.monotonic(), fetch_needs(options)
    candidates = candidates_of(maker, needs.weights, options.steps, options.tried, options.settings, options.pda)
    train = load_split(challenge, "train", options.data)
    assert isinstance(train, ImageSet), "training splits are 8-bit images"
    fraction = HELD_OUT_FRACTION if maker.info.needs_training_images else 1.0
    rest, held_out = balanced_split(train, fraction, MAX_HELD_OUT)
    out = options.out or Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S-%f}-tune-{challenge.name}-{maker.info.name}"
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"{out} exists already; choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    voice.say(
        f"{challenge.title}, {maker.info.name}: {len(candidates)} candidates for {options.budget:g} s, judged on"
        f" {len(held_out):,} held-out training images (previews of {options.epochs} epochs, n = {options.rounds})"
    )
    job = needs.job(
        challenge=options.dataset,
        generator=options.generator_name,
        seed=options.seed,
        pda=options.pda,
        settings=dict(options.settings),
    )
    with _gone_if_unused(out):
        predicted, costs = _predictions(options, job, candidates, voice)
        with TemporaryDirectory(dir=out, prefix=".pilots-") as scratch:
            if needs.training_images:  # without those that candidates are judged on
                np.savez(Path(scratch) / "training.npz", images=rest.images, labels=rest.labels)
                job = replace(job, training_images=str(Path(scratch) / "training.npz"))
            place = Path(scratch).resolve()
            pilots = Pilots(job, held_out, options.rounds, options.epochs, options.data, place, voice.judging)

            def on_level(level: int, results: Sequence[CandidateResult]) -> None:
                forecasts = (
                    f"{each.candidate.name} {100 * each.forecast.accuracy:.1f}%"
                    for each in results
                    if each.level == level
                )
                voice.say(f"Level {level}, forecast for the budget: {', '.join(forecasts)}")

            result = choose(
                candidates,
                lambda candidate: predicted[candidate.name].ipc,
                pilots.measure,
                lambda candidate: costs[candidate.name],
                on_level,
                lambda left_s: voice.say(f"About {show_duration(left_s)} left.") if left_s else None,
            )
    result = replace(result, seconds=time.monotonic() - began)  # profiles included
    choice = _choice(options, needs, result)
    try:
        told = f"`run` with --steps auto and the same budget now uses it: {store_choice(choice).name} in the cache."
    except OSError as error:
        told = f"It cannot be kept for `run` ({error.strerror or error}); give it as --steps and --set."
    report = _report(options, result, predicted, choice)
    (out / "tune.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    title = f"{challenge.title} · {maker.info.name}: tuned for {show_duration(options.budget)}"
    page = write_page(out, title, result, predicted, options.epochs)
    if voice.as_json:
        print(json.dumps(report, indent=2))
    else:
        voice.table(COLUMNS, rows(result, predicted))
        forecast = result.winner.forecast
        low, high = (100 * end for end in forecast.ci95)
        if len(result.tied) > 1:
            names = " and ".join(each.name for each in result.tied)
            voice.say(f"{names} cannot be told apart by these pilots (n = {options.rounds}); the cheapest is taken.")
        voice.say(
            f"Chosen: {result.chosen.name}, forecast {100 * forecast.accuracy:.2f}% [{low:.2f}, {high:.2f}]"
            f" on held-out training images ({options.epochs} epochs), found in {show_duration(result.seconds)}."
        )
        voice.say(told)
    voice.say(f"Written: {page}")
    return ExitCode.DONE


@contextmanager
def _gone_if_unused(folder: Path) -> Iterator[None]:
    """Remove the folder where an error or an interruption comes before anything was put into it."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            folder.rmdir()
        raise


def _predictions(
    options: TuneOptions, job: Job, candidates: Sequence[Candidate], voice: Voice
) -> tuple[dict[str, Prediction], dict[str, float]]:
    """What the budget gives each candidate, from a profile for each combination of settings; and seconds an image."""
    from harness.planning.measure import Wanted, take_profile
    from harness.planning.planner import predict_ipc
    from harness.tuning.successive_halving import split_pda

    steps = {candidate.steps for candidate in candidates}
    images = None if options.ipc_cap is None else options.ipc_cap * options.challenge.classes
    # linear in steps between them
    wanted = Wanted.of_run(options.budget, images, steps=tuple(sorted({min(steps), max(steps)})))
    found, costs = {}, {}
    for tried in {tuple(candidate.settings.items()): candidate.settings for candidate in candidates}.values():
        settings, pda = split_pda({**options.settings, **tried}, options.pda)
        own_job = replace(job, settings=settings, pda=pda)
        profile, _ = take_profile(own_job, wanted, options.data, options.out or Path("runs"), voice.say)
        for candidate in candidates:
            if candidate.settings == tried:
                found[candidate.name] = predict_ipc(profile, options.budget, candidate.steps, ipc_cap=options.ipc_cap)
                without_cap = predict_ipc(profile, options.budget, candidate.steps)
                costs[candidate.name] = options.budget / max(1, without_cap.images)
    return found, costs


def _choice(options: TuneOptions, needs: Needs, result: Tuning) -> TunedChoice:
    from harness.planning.profile import profile_key
    from harness.tuning.stored_choice import TunedChoice

    return TunedChoice(
        key=profile_key(
            options.generator_name, options.dataset, options.settings, needs.weights, needs.device, options.pda
        ),
        budget_s=options.budget,
        ipc_cap=options.ipc_cap,
        steps=result.chosen.steps,
        settings=dict(result.chosen.settings),
        accuracy=result.winner.forecast.accuracy,
        ci95=result.winner.forecast.ci95,
        epochs=options.epochs,
        rounds=options.rounds,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _report(
    options: TuneOptions, result: Tuning, predicted: Mapping[str, Prediction], choice: TunedChoice
) -> dict[str, Any]:
    """What `tune.json` holds."""
    from evaluation.base.machine import this_machine

    trials = [
        {
            **asdict(each),
            "name": each.candidate.name,
            "predicted_ipc": predicted[each.candidate.name].ipc,
            "predicted_ipc_interval": list(predicted[each.candidate.name].interval),
            "chosen": each.candidate == result.chosen,
        }
        for each in result.results
    ]
    return {
        "dataset": options.dataset,
        "generator": choice.key.generator,
        "budget_s": options.budget,
        "ipc_cap": options.ipc_cap,
        "epochs": options.epochs,
        "rounds": options.rounds,
        "preview": True,
        "trials": trials,
        "tied": [each.name for each in result.tied],
        "chosen": asdict(result.chosen),
        "seconds": result.seconds,
        "plan": asdict(choice),
        "machine": asdict(this_machine(choice.key.device)),
    }
