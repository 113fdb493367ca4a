"""`profile`: measure a generator on this machine, show it, keep it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from evaluation.base.command_line import ExitCode, parse_counts
from harness.run.options import GeneratorOptions
from submission.contract.generator import get_generator
from submission.contract.settings import COMPILE

if TYPE_CHECKING:
    from harness.planning.profile import Profile
    from harness.report.console import Voice

Counts = tuple[int, ...]


@dataclass(frozen=True)
class ProfileOptions(GeneratorOptions):
    """Options of `profile`; empty counts leave the choice to the measurement."""

    steps: Annotated[
        Counts, Option(parser=parse_counts, help="Step counts: 4,8,16. Default: the generator's own and half of it.")
    ] = ()
    batch_sizes: Annotated[
        Counts,
        Option("--batch-size", parser=parse_counts, help="Sizes: 32,64. Default: doubled until it gains less than 3%."),
    ] = ()
    compiled: Annotated[
        bool, Option("--compile", help="Also measure the compiled generator, and say whether compiling pays.")
    ] = False
    refresh: Annotated[bool, Option("--refresh", help="Measure again, whatever is in the cache.")] = False
    out: Annotated[Path | None, Option(help="Folder for a page with plots and the profile as JSON.")] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.compiled:
            return
        if COMPILE.name in self.settings:
            raise ValueError(f"--compile measures the generator with and without; leave out --set {COMPILE.name}")
        if COMPILE not in get_generator(self.generator_name).info.settings:
            raise ValueError(f"generator {self.generator_name!r} has nothing to compile; leave out --compile")


def profile(options: ProfileOptions, voice: Voice) -> ExitCode:
    """Measure a generator on this machine: seconds per batch, memory, start; and the images per class they give."""
    from harness.planning.measure import Wanted, take_profile
    from harness.planning.planner import compile_gain, predict_ipc
    from harness.report.profile_page import COLUMNS, describe_start, rows, write_page
    from harness.run.generation import fetch_needs

    def take(options: ProfileOptions, wanted: Wanted) -> tuple[Profile, bool]:
        job = fetch_needs(options).job(
            challenge=options.dataset,
            generator=options.generator_name,
            pda=options.pda,
            settings=dict(options.settings),
        )
        return take_profile(job, wanted, options.data, options.out or Path("runs"), voice.say, options.refresh)

    budget_s, cap = options.budget, options.default_ipc_cap
    images = -(-cap * options.challenge.classes // options.pda)
    wanted = Wanted.of_run(budget_s, images, steps=options.steps, batch_sizes=options.batch_sizes)
    measured, cached = take(options, wanted)
    gain = None
    if options.compiled:
        # the same steps at the best batch size, since each size costs another compilation
        sizes = options.batch_sizes or (predict_ipc(measured, budget_s, ipc_cap=cap).batch_size,)
        wanted = Wanted(tuple(sorted({point.steps for point in measured.points})), sizes)
        compiled = replace(options, settings={**options.settings, COMPILE.name: "yes"}, compiled=False)
        gain = compile_gain(measured, take(compiled, wanted)[0], budget_s, None, cap)
    counts = sorted({point.steps for point in measured.points})
    predictions = [predict_ipc(measured, budget_s, steps, ipc_cap=cap) for steps in counts]
    report = {
        **asdict(measured),
        "predictions": [
            {
                "budget_s": budget_s,
                "steps": found.steps,
                "batch_size": found.batch_size,
                "predicted_ipc": found.ipc,
                "predicted_ipc_interval": list(found.interval),
                "ipc_cap": cap,
            }
            for found in predictions
        ],
        "from_cache": cached,
        **({"compiling": asdict(gain)} if gain else {}),
    }
    if voice.as_json:
        print(json.dumps(report, indent=2))
    else:
        voice.table(COLUMNS, rows(measured))
        voice.say(describe_start(measured))
        for found in predictions:
            low, high = found.interval
            voice.say(
                f"Predicted for {budget_s:g} s at steps {found.steps}, batch {found.batch_size}: "
                f"{found.ipc:.4g} [{low:.4g}, {high:.4g}] images per class"
                f"{', where the run stops by itself' if low >= cap else ''}"
            )
        if gain:
            voice.say(gain.sentence(budget_s))
        if options.pda > 1:
            voice.say(f"Images per class count copies; all else is per generated image, {options.pda} files each.")
        voice.say("From the cache; --refresh measures again." if cached else "Saved for `run`.")
    if options.out is not None:
        page = write_page(options.out, measured, predictions, budget_s)
        (options.out / "profile.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        voice.say(f"Written: {page}")
    return ExitCode.DONE
