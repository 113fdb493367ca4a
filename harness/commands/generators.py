"""`generators`: what there is, and what it needs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from evaluation.base.challenge import challenges, get_challenge
from evaluation.base.command_line import Data, ExitCode, Options
from submission.contract.generator import GeneratorInfo, generator_names, get_generator, shadowed_plugins

if TYPE_CHECKING:
    from harness.report.console import Voice


@dataclass(frozen=True)
class GeneratorsOptions(Options):
    """Options of `generators`."""

    name: Annotated[str | None, Argument(help="One of them, to see its settings, weights and what it lacks.")] = None
    dataset: Annotated[str | None, Option(help="Only say what can run on this one.")] = None
    data: Data = None


def generators(options: GeneratorsOptions, voice: Voice) -> ExitCode:
    """Every generator, and for which data sets it has all that it needs; with a name, all about that one."""
    found = rows(options.dataset, options.data)
    if options.name is not None:
        get_generator(options.name)
        found = [row for row in found if row["name"] == options.name]
    if voice.as_json:
        print(json.dumps({"generators": found}, indent=2))
        return ExitCode.DONE
    show_list(found, voice) if options.name is None else show_one(found[0], voice)
    return ExitCode.DONE


def show_list(found: Sequence[Mapping[str, Any]], voice: Voice) -> None:
    """A line or two on each."""
    from rich.table import Table
    from rich.text import Text

    table = Table("generator", "ready for", "what it is", box=None, pad_edge=False, header_style="bold")
    for row in found:
        table.add_row(row["name"], "\n".join(row["ready"]) or Text("nothing yet", style="dim"), row["summary"])
    voice.console.print(table, soft_wrap=False)
    for sentence in shadowed_plugins():
        voice.say(f"\nNote: {sentence}.")
    voice.say("\nSettings, weights and what one lacks: python -m harness generators NAME")


def show_one(row: Mapping[str, Any], voice: Voice) -> None:
    """Everything on one."""
    from rich.table import Table
    from rich.text import Text

    facts = Table(box=None, pad_edge=False, show_header=False)
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column()
    described = {
        row["name"]: row["summary"],
        "ready for": ", ".join(row["ready"]) or "nothing yet",
        **{f"not {challenge}": sentence for challenge, sentence in row["missing"].items()},
        "steps": str(row["default_steps"]),
        "weights": f"{row['weights_from']}; {row['licence']}",
        "external data": row["external_data"] or "none",
        "pretrained": row["pretrained"] or "nothing",
    }
    for label, text in described.items():
        facts.add_row(label, Text(text))
    voice.console.print(facts, soft_wrap=False)
    if not row["settings"]:
        return
    settings = Table("--set NAME", "default", "range", "what it does", box=None, pad_edge=False, header_style="bold")
    for each in row["settings"]:
        settings.add_row(each["name"], _shown(each["default"]), each["range"], each["help"])
    voice.console.print()
    voice.console.print(settings, soft_wrap=False)


def _shown(default: Any) -> str:
    """A setting's default as `--set` takes it; `-` for none."""
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, tuple):
        return ",".join(f"{value:g}" for value in default)
    return "-" if default is None else str(default)


def rows(dataset: str | None, data: Path | None) -> list[dict[str, Any]]:
    """One dict per generator: its info, and under `ready` the data sets for which nothing is missing."""
    from evaluation.data.datasets import is_at_hand

    wanted = [get_challenge(dataset)] if dataset else list(challenges().values())
    found = []
    for name in generator_names():
        try:
            maker = get_generator(name)
        except ValueError as broken:  # a plugin, which must not break the others' rows
            missing = {challenge.name: str(broken) for challenge in wanted}
            info = GeneratorInfo(name, "a plugin that cannot be loaded", weights_from="unknown", licence="unknown")
            found.append({**vars(info), "settings": [], "ready": [], "missing": missing})
            continue
        ready, missing = [], {}
        for challenge in wanted:
            try:
                maker.check_weights(challenge)
                if maker.info.needs_training_images and not is_at_hand(challenge, "train", data):
                    raise ValueError(f"it takes training images of {challenge.title}, which are not here; give --data")
                ready.append(challenge.name)
            except ValueError as error:
                missing[challenge.name] = str(error)
        settings = [setting.describe() for setting in maker.info.settings]
        found.append({**vars(maker.info), "settings": settings, "ready": ready, "missing": missing})
    return found
