"""`profile`: measure a generator on this machine, show it, keep it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from evaluation.base.challenge import Challenge, get_challenge
from evaluation.base.device import resolve_device
from evaluation.base.exits import ExitCode
from evaluation.base.progress_bar import plain_console
from evaluation.data.datasets import cache_folder, training_images_file
from harness.planning.compile_gain import Gain, gain_of, gain_words
from harness.planning.measure import Wanted, measure_profile
from harness.planning.planner import Prediction, predict_ipc
from harness.planning.profile import Profile, keep_profile, load_profile, merged, profile_key
from harness.report.profile_page import profile_table, start_words, write_page
from harness.run.options import default_generator
from submission.contract.compile import SETTING, compiles
from submission.contract.generator import get_generator
from submission.contract.job import Job
from submission.worker.pda import check_pda


@dataclass(frozen=True)
class ProfileOptions:
    """What a user asked of `profile`; None stands for the default, as in `RunOptions`.

    Attributes:
        wanted: step counts and batch sizes to measure.
        compiled: whether to measure the compiled generator as well, and what that brings.
        refresh: whether to measure although a profile is kept.
        out: folder for the page and the JSON.
    """

    dataset: str
    generator: str | None = None
    weights: str | None = None
    settings: dict[str, str] = field(default_factory=dict)
    wanted: Wanted = field(default_factory=Wanted)
    pda: int = 1
    device: str = "auto"
    data: Path | None = None
    budget_s: float | None = None
    compiled: bool = False
    refresh: bool = False
    out: Path | None = None
    as_json: bool = False

    def __post_init__(self) -> None:
        check_pda(self.pda)
        if self.compiled and SETTING in self.settings:
            raise ValueError(f"--compile measures the generator with and without; leave out --set {SETTING}")


def parse_counts(text: str | None, option: str) -> tuple[int, ...]:
    """`4,8,16` as numbers in order, each once; empty for None.

    Raises:
        ValueError: something else.
    """
    if text is None:
        return ()
    try:
        counts = sorted({int(part) for part in text.split(",")})
    except ValueError:
        counts = [0]
    if counts[0] < 1:
        raise ValueError(f"{option} takes whole numbers of at least 1 with commas between, like 4,8,16; not {text!r}")
    return tuple(counts)


def profile_generator(options: ProfileOptions) -> ExitCode:
    """Measure, or take what is kept; print it and write what was asked for.

    Raises:
        ValueError: bad input, or the generator cannot be measured.
    """
    challenge = get_challenge(options.dataset)
    console = plain_console(stderr=options.as_json)

    def say(sentence: str) -> None:
        console.print(f"  {sentence}", markup=False)

    profile, kept = measured_or_kept(options, challenge, say)
    budget_s = options.budget_s or challenge.budget_s
    gain = None
    if options.compiled:
        compiled, _ = measured_or_kept(when_compiled(options, profile, budget_s), challenge, say)
        gain = gain_of(profile, compiled, budget_s, None)
    predictions = [predict_ipc(profile, budget_s, steps) for steps in sorted({point.steps for point in profile.points})]
    if options.as_json:
        print(json.dumps(_as_json(profile, predictions, budget_s, kept, gain), indent=2))
    else:
        console.print(profile_table(profile))
        console.print(start_words(profile), markup=False)
        for found in predictions:
            console.print(_foreseen(found, budget_s), markup=False)
        if gain is not None:
            console.print(gain_words(gain, budget_s), markup=False)
        if options.pda > 1:
            console.print(f"Copies are counted there; all else is of generated images, {options.pda} files each.")
        console.print("From the cache; --refresh measures again." if kept else "Kept for `run`.", markup=False)
    if options.out is not None:
        page = write_page(options.out, profile, predictions, budget_s)
        told = _as_json(profile, predictions, budget_s, kept, gain)
        (options.out / "profile.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        console.print(f"Written: {page}", markup=False)
    return ExitCode.DONE


def when_compiled(options: ProfileOptions, plain: Profile, budget_s: float) -> ProfileOptions:
    """What to measure of the compiled generator: the steps of `plain` at its best batch size, since each size costs.

    Raises:
        ValueError: the generator has nothing to compile.
    """
    if SETTING not in get_generator(plain.key.generator).info.settings:
        raise ValueError(f"generator {plain.key.generator!r} has nothing to compile; leave out --compile")
    sizes = options.wanted.batch_sizes or (predict_ipc(plain, budget_s).batch_size,)
    steps = tuple(sorted({point.steps for point in plain.points}))
    return replace(options, settings={**options.settings, SETTING: "yes"}, wanted=Wanted(steps, sizes), compiled=False)


def measured_or_kept(options: ProfileOptions, challenge: Challenge, say: Callable[[str], None]) -> tuple[Profile, bool]:
    """The profile that `options` ask for, and whether it was kept from before.

    Raises:
        ValueError: bad input, or the generator cannot be measured.
    """
    name = options.generator or default_generator(challenge)
    maker = get_generator(name)
    maker.check_settings(options.settings)
    weights = maker.find_weights(challenge, options.weights)
    maker.check_fit(options.settings, weights)
    device = resolve_device(options.device)
    key = profile_key(name, challenge.name, options.settings, weights, device, options.pda)
    kept = None if options.refresh else load_profile(key)
    if kept and _holds(kept, options.wanted):
        return kept, True
    training_images = None
    if maker.info.needs_training_images:
        training_images = training_images_file(challenge, options.data, cache_folder() / "training")
    wanted = options.wanted
    if compiles(options.settings) and not wanted.batch_sizes:
        wanted = replace(wanted, batch_sizes=(maker.info.default_batch,))  # each size would be compiled for
    job = Job(
        challenge=challenge.name,
        generator=name,
        output="",
        events="",
        deadline=0.0,
        batch_size=wanted.batch_sizes[0] if compiles(options.settings) else None,
        pda=options.pda,
        device=device,
        weights=str(weights) if weights else None,
        training_images=str(training_images) if training_images else None,
        settings=dict(options.settings),
    )
    scratch = options.out or Path("runs")
    try:
        scratch.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"cannot make the folder {scratch}: {error.strerror}; choose another --out") from None
    say(f"profiling {name} on {challenge.title}, {key.machine}")
    profile = measure_profile(key, job, wanted, options.data, scratch.resolve(), say)
    profile = merged(kept, profile) if kept else profile
    keep_profile(profile)
    return profile, False


def _holds(profile: Profile, wanted: Wanted) -> bool:
    """Whether everything that is wanted was measured, or tried."""
    found = {(point.steps, point.batch_size) for point in profile.points}
    found |= {(failed.steps, failed.batch_size) for failed in profile.failed}
    steps, sizes = {count for count, _ in found}, {size for _, size in found}
    if wanted.steps and wanted.batch_sizes:
        return all((count, size) in found for count in wanted.steps for size in wanted.batch_sizes)
    return set(wanted.steps) <= steps and set(wanted.batch_sizes) <= sizes


def _foreseen(found: Prediction, budget_s: float) -> str:
    low, high = found.interval
    return (
        f"{budget_s:g} s at {found.steps} steps, batch {found.batch_size}: "
        f"{found.ipc:.4g} [{low:.4g}, {high:.4g}] images per class"
    )


def _as_json(
    profile: Profile, predictions: list[Prediction], budget_s: float, kept: bool, gain: Gain | None
) -> dict[str, Any]:
    foreseen = [
        {
            "budget_s": budget_s,
            "steps": found.steps,
            "batch_size": found.batch_size,
            "predicted_ipc": found.ipc,
            "predicted_ipc_interval": list(found.interval),
        }
        for found in predictions
    ]
    compiling = {"compiling": asdict(gain)} if gain else {}
    return {**profile.to_json(), "predictions": foreseen, "from_cache": kept, **compiling}
