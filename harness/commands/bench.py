"""`bench`: many generators under the same clock and judge, in one table."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Option

from evaluation.base.command_line import Data, Device, Epochs, ExitCode, JudgeSeed, Options, Rounds
from evaluation.base.durations import show_duration
from harness.compare.cards import parse_cards
from harness.run.options import parse_ipc

if TYPE_CHECKING:
    from harness.compare.bench_plan import Plan
    from harness.compare.bench_results import Row
    from harness.compare.engines.engine import Engine
    from harness.report.console import Voice

LOCAL, RAY = "local", "ray"


def parse_list(text: str) -> tuple[str, ...]:
    """`a,b` as its parts. Raises ValueError where one is empty."""
    parts = tuple(part.strip() for part in text.split(","))
    if not all(parts):
        raise ValueError(f"{text!r} has an empty part; write a,b")
    return parts


@dataclass(frozen=True)
class BenchOptions(Options):
    """Options of `bench`: a plan's file, or what stands in one."""

    plan_file: Annotated[Path | None, Option("--plan", help="A YAML file that says what to compare.")] = None
    generators: Annotated[tuple[str, ...], Option(parser=parse_list, help="Names: native,gaussian.")] = ()
    command: Annotated[str | None, Option(help="Anybody's program beside them, as for `run`; with --name.")] = None
    image: Annotated[str | None, Option(help="Anybody's container image beside them; with --name.")] = None
    trust: Annotated[bool, Option("--trust", help="As for `run`: do not shut the --command in.")] = False
    name: Annotated[str | None, Option(help="What the --command or --image is called everywhere.")] = None
    datasets: Annotated[tuple[str, ...], Option(parser=parse_list, help="Names: cifar100,digits.")] = ()
    budgets: Annotated[
        tuple[str, ...] | None, Option(parser=parse_list, help="Budgets: 60s,10m. Default: each data set's own.")
    ] = None
    seeds: Annotated[int, Option(min=1, help="Runs of each, with other seeds.")] = 1
    ipc: Annotated[
        int | Literal["none"] | None, Option(min=1, parser=parse_ipc, help="Stop at this many images per class.")
    ] = None
    rounds: Rounds = 3
    epochs: Epochs = 1000
    engine_of_judge: Annotated[str, Option("--judge-engine", help="The judge's engine: fast or reference.")] = "fast"
    judge_seed: JudgeSeed = 0
    engine: Annotated[str, Option(help="Where runs are made: local, or ray for a cluster.")] = LOCAL
    address: Annotated[
        str | None,
        Option(help="HOST:PORT of the Ray cluster. Default: RAY_ADDRESS, else one of this machine alone."),
    ] = None
    gpus: Annotated[
        tuple[int, ...], Option(parser=parse_cards, help="Cards to use side by side: 0-3. Default: one run at a time.")
    ] = ()
    out: Annotated[Path | None, Option(help="Folder; an existing benchmark goes on. Default: runs/<time>-bench.")] = (
        None
    )
    device: Device = "auto"
    data: Data = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.engine not in (LOCAL, RAY):
            raise ValueError(f"there is no engine {self.engine!r}; choose {LOCAL} or {RAY}")
        if self.address is not None and self.engine != RAY:
            raise ValueError(f"--address is of a Ray cluster; add --engine {RAY}")
        if self.gpus and self.engine == RAY:
            raise ValueError("--gpus is for this machine; with --engine ray each node offers its own cards")
        if self.plan_file is not None and (self.generators or self.datasets or self.command or self.image):
            raise ValueError("--plan says what to compare; leave out --generators, --datasets, --command and --image")

    def plan(self) -> Plan:
        """Raises ValueError for what does not fit the schema."""
        from harness.compare.bench_plan import make_plan, read_plan

        if self.plan_file is not None:
            return read_plan(self.plan_file)
        own = {"command": self.command, "image": self.image, "name": self.name, "trust": self.trust}
        entries: list[Any] = [*self.generators, *([own] if self.command or self.image else [])]
        if not entries or not self.datasets:
            raise ValueError("bench needs --generators (or --command) and --datasets, or a --plan")
        told: dict[str, Any] = {
            "generators": entries,
            "datasets": self.datasets,
            "budgets": self.budgets,
            "seeds": self.seeds,
        }
        told |= {"ipc": self.ipc, "rounds": self.rounds, "epochs": self.epochs, "judge_seed": self.judge_seed}
        return make_plan({**told, "engine": self.engine_of_judge})


def bench(options: BenchOptions, voice: Voice) -> ExitCode:
    """Compare generators: each a full run under its own clock; table, plots, one page, JSON, CSV and Markdown."""
    from harness.compare import bench as benchmark
    from harness.compare import bench_tables as tables

    plan = options.plan()
    root = options.out or Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S}-bench"
    shared = ["--device", options.device]
    if options.data is not None:
        shared += ["--data", os.path.abspath(options.data)]  # noqa: PTH100 - a link may lead elsewhere on a node

    def show(row: Row, done: int, runs: int) -> None:
        accuracy = f", {100 * row.accuracy.mean:.2f}%" if row.accuracy else ""
        why = f": {row.sentence}" if row.sentence else ""
        voice.say(
            f"{done} of {runs}: {row.name}, {row.dataset}, {show_duration(row.budget_s)}, seed {row.seed}:"
            f" {row.outcome}{accuracy}{why}"
        )

    voice.say(f"{len(list(plan.cells()))} runs. Results: {root}")
    results = benchmark.bench(plan, root, _engine(options, voice), shared, show)
    if voice.as_json:
        print(json.dumps(benchmark.as_json(results), indent=1))
        return ExitCode.DONE
    summaries = tables.ranked(results.summaries)
    voice.table(tables.NARROW, [tables.narrow(each) for each in summaries])
    for each in summaries:
        for note in each.notes:
            voice.say(f"{each.name} ({each.dataset}): {note}")
    sentences = [*tables.component_sentences(summaries), *tables.pair_sentences(results.pairs)]
    for sentence in filter(None, [*sentences, tables.preview_sentence(plan)]):
        voice.say(sentence)
    voice.say(f"Page: {root / 'bench.html'}")
    return ExitCode.DONE


def _engine(options: BenchOptions, voice: Voice) -> Engine:
    if options.engine == LOCAL:
        from harness.compare.engines.local import Local

        return Local(options.gpus)
    from harness.compare.engines.ray_engine import RayEngine

    data = os.path.abspath(options.data) if options.data is not None else None  # noqa: PTH100 - as above
    return RayEngine(options.address, options.device, data, voice.say)
