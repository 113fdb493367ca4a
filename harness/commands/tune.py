"""`tune`: find the step count, and the settings beside it, that buy the most accuracy with the budget."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np

from evaluation.base.challenge import Challenge, get_challenge
from evaluation.base.device import resolve_device
from evaluation.base.durations import show_duration
from evaluation.base.exits import ExitCode
from evaluation.base.images import ImageSet
from evaluation.base.machine import this_machine
from evaluation.base.progress_bar import plain_console
from evaluation.commands.display import judging
from evaluation.data.datasets import load_split
from evaluation.data.subset import hold_out
from harness.clock.launch import Needs
from harness.commands.profile import ProfileOptions, measured_or_kept
from harness.planning.measure import Wanted
from harness.planning.planner import Prediction, predict_ipc
from harness.planning.profile import profile_key
from harness.report.tune_page import rows, tune_table, write_page
from harness.run.options import RunOptions
from harness.tuning.pilots import Pilots
from harness.tuning.stored_choice import TunedPlan, keep_tuned
from harness.tuning.successive_halving import Candidate, Trial, Tuned, split_pda, tune
from submission.contract.generator import GeneratorBase, get_generator
from submission.worker.pda import check_pda

# Candidates by default, as multiples of the generator's own step count.
MULTIPLES = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
MOST_HELD_OUT = 5000
# Of the training split, where the generator reads training images itself: these are kept from it.
HELD_OUT_SHARE = 0.3


@dataclass(frozen=True)
class TuneOptions:
    """What a user asked of `tune`; None stands for the default, as in `RunOptions`.

    Attributes:
        steps: step counts to try; multiples of the generator's default where empty.
        tried: settings to try, each with its values; every combination with every step count is a candidate.
        settings: settings of all candidates.
        pda: of all candidates; `tried` can name `pda` as well.
        rounds, epochs: of each pilot's judgement.
    """

    dataset: str
    generator: str | None = None
    weights: str | None = None
    steps: tuple[int, ...] = ()
    tried: Mapping[str, Sequence[str]] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    budget_s: float | None = None
    ipc: int | Literal["none"] | None = None
    pda: int = 1
    rounds: int = 3
    epochs: int = 100
    seed: int = 0
    device: str = "auto"
    data: Path | None = None
    out: Path | None = None
    as_json: bool = False

    def __post_init__(self) -> None:
        if twice := sorted(set(self.tried) & set(self.settings)):
            raise ValueError(f"--set and --try both name {twice[0]}; a setting is either fixed or tried")
        if "pda" in self.tried and self.pda != 1:
            raise ValueError("--pda and --try both name pda; it is either fixed or tried")
        for name, number in (("--rounds", self.rounds), ("--epochs", self.epochs)):
            if number < 1:
                raise ValueError(f"{name} must be at least 1, not {number}")

    @property
    def as_run(self) -> RunOptions:
        """The run that is tuned for."""
        return RunOptions(
            self.dataset,
            self.generator,
            budget_s=self.budget_s,
            ipc=self.ipc,
            pda=self.pda,
            data=self.data,
            weights=self.weights,
        )


def candidates_of(maker: type[GeneratorBase], weights: Path | None, options: TuneOptions) -> list[Candidate]:
    """Every combination of the step counts and of the settings tried.

    Raises:
        ValueError: there is but one, or a setting that the generator does not know.
    """
    default = maker.default_steps(weights)
    steps = options.steps or tuple(sorted({max(1, round(default * multiple)) for multiple in MULTIPLES}))
    if not options.steps and default == 1:
        steps = (1,)
    combinations = [dict(zip(options.tried, values, strict=True)) for values in product(*options.tried.values())]
    for settings in combinations:
        own, pda = split_pda({**options.settings, **settings}, options.pda)
        check_pda(pda)
        maker.check_settings(own)
        maker.check_fit(own, weights)
    found = [Candidate(count, settings) for settings in combinations for count in steps]
    if len(found) < 2:
        raise ValueError(
            f"generator {maker.info.name!r} makes images in one step, so there is nothing to choose; name settings with"
            " --try NAME=VALUE,VALUE"
            if default == 1 and not options.steps
            else "there is one candidate, so there is nothing to choose; name more with --steps or --try"
        )
    return found


def tune_generator(options: TuneOptions) -> ExitCode:
    """Tune; print it, write what was found and keep the plan for `run`.

    Raises:
        ValueError: bad input, or a pilot that gave too few images.
    """
    challenge = get_challenge(options.dataset)
    console = plain_console(stderr=options.as_json)
    run = options.as_run
    maker = get_generator(run.generator_name)
    weights = maker.find_weights(challenge, options.weights)
    candidates = candidates_of(maker, weights, options)
    train = load_split(challenge, "train", options.data)
    assert isinstance(train, ImageSet), "training splits are 8-bit images"
    share = HELD_OUT_SHARE if maker.info.needs_training_images else 1.0
    rest, held_out = hold_out(train, share, MOST_HELD_OUT)
    device = resolve_device(options.device)
    out = options.out or Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S-%f}-tune-{challenge.name}-{maker.info.name}"
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"{out} exists already; choose another --out")
    out.mkdir(parents=True, exist_ok=True)

    def say(sentence: str) -> None:
        console.print(sentence, markup=False)

    say(
        f"{challenge.title}, {maker.info.name}: {len(candidates)} candidates for {run.budget:g} s, judged on"
        f" {len(held_out):,} held-out training images (previews of {options.epochs} epochs, n = {options.rounds})"
    )
    foreseen = _predictions(options, run, challenge, candidates, say)
    with TemporaryDirectory(dir=out, prefix=".pilots-") as scratch:
        training_images = None
        if maker.info.needs_training_images:
            training_images = Path(scratch) / "training.npz"
            np.savez(training_images, images=rest.images, labels=rest.labels)
        pilots = Pilots(
            challenge=challenge,
            generator=maker.info.name,
            needs=Needs(weights, training_images, device),
            settings=dict(options.settings),
            held_out=held_out,
            rounds=options.rounds,
            epochs=options.epochs,
            device=device,
            data=options.data,
            scratch=Path(scratch).resolve(),
            seed=options.seed,
            pda=options.pda,
            judging=lambda what: judging(console, what),
        )

        def on_level(level: int, trials: Sequence[Trial]) -> None:
            still = [trial for trial in trials if trial.level == level]
            told = ", ".join(f"{t.candidate.name} {100 * t.forecast.accuracy:.1f}%" for t in still)
            say(f"Level {level}, forecast for the budget: {told}")

        tuned = tune(candidates, lambda candidate: foreseen[candidate.name].ipc, pilots.measure, on_level)
    plan = _plan(options, run, weights, device, tuned)
    kept = keep_tuned(plan)
    report = _as_json(options, run, tuned, foreseen, plan)
    (out / "tune.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    title = f"{challenge.title} · {maker.info.name}: tuned for {show_duration(run.budget)}"
    page = write_page(out, title, tuned, foreseen, options.epochs)
    if options.as_json:
        print(json.dumps(report, indent=2))
    else:
        console.print(tune_table(rows(tuned, foreseen)))
        low, high = (100 * end for end in tuned.winner.forecast.ci95)
        say(
            f"Chosen: {tuned.chosen.name}, forecast {100 * tuned.winner.forecast.accuracy:.2f}% [{low:.2f}, {high:.2f}]"
            f" on held-out training images ({options.epochs} epochs), found in {show_duration(tuned.seconds)}."
        )
        say(f"`run` with --steps auto and the same budget takes it from now on: {kept.name} in the cache.")
    console.print(f"Written: {page}", markup=False)
    return ExitCode.DONE


def _predictions(
    options: TuneOptions,
    run: RunOptions,
    challenge: Challenge,
    candidates: Sequence[Candidate],
    say: Callable[[str], None],
) -> dict[str, Prediction]:
    """What the budget gives each candidate, from a profile for each combination of settings."""
    steps = sorted({candidate.steps for candidate in candidates})
    found = {}
    for settings in {tuple(candidate.settings.items()): candidate.settings for candidate in candidates}.values():
        own, pda = split_pda({**options.settings, **settings}, options.pda)
        wanted = ProfileOptions(
            dataset=challenge.name,
            generator=run.generator_name,
            weights=options.weights,
            settings=own,
            pda=pda,
            wanted=Wanted(steps=tuple(sorted({steps[0], steps[-1]}))),  # linear in steps between them
            device=options.device,
            data=options.data,
        )
        profile, _ = measured_or_kept(wanted, challenge, say)
        for candidate in candidates:
            if candidate.settings == settings:
                found[candidate.name] = predict_ipc(profile, run.budget, candidate.steps, ipc_cap=run.ipc_cap)
    return found


def _plan(options: TuneOptions, run: RunOptions, weights: Path | None, device: str, tuned: Tuned) -> TunedPlan:
    return TunedPlan(
        key=profile_key(run.generator_name, options.dataset, options.settings, weights, device, options.pda),
        budget_s=run.budget,
        ipc_cap=run.ipc_cap,
        steps=tuned.chosen.steps,
        settings=dict(tuned.chosen.settings),
        accuracy=tuned.winner.forecast.accuracy,
        ci95=tuned.winner.forecast.ci95,
        epochs=options.epochs,
        rounds=options.rounds,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _as_json(
    options: TuneOptions, run: RunOptions, tuned: Tuned, foreseen: Mapping[str, Prediction], plan: TunedPlan
) -> dict[str, Any]:
    trials = [
        {
            **asdict(trial),
            "name": trial.candidate.name,
            "predicted_ipc": foreseen[trial.candidate.name].ipc,
            "predicted_ipc_interval": list(foreseen[trial.candidate.name].interval),
            "chosen": trial.candidate == tuned.chosen,
        }
        for trial in tuned.trials
    ]
    return {
        "dataset": options.dataset,
        "generator": run.generator_name,
        "budget_s": run.budget,
        "ipc_cap": run.ipc_cap,
        "epochs": options.epochs,
        "rounds": options.rounds,
        "preview": True,
        "trials": trials,
        "chosen": asdict(tuned.chosen),
        "seconds": tuned.seconds,
        "plan": asdict(plan),
        "machine": asdict(this_machine(resolve_device(options.device))),
    }
