"""`generators`: what there is, and what it needs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from evaluation.base.challenge import challenges, get_challenge
from evaluation.base.command_line import Data, ExitCode, Options
from submission.contract.generator import generator_names, get_generator

if TYPE_CHECKING:
    from harness.report.console import Voice


@dataclass(frozen=True)
class GeneratorsOptions(Options):
    """Options of `generators`."""

    dataset: Annotated[str | None, Option(help="Only say what can run on this one.")] = None
    data: Data = None


def generators(options: GeneratorsOptions, voice: Voice) -> ExitCode:
    """Every generator: what it is, where its weights come from, and for which data sets it has all that it needs."""
    found = rows(options.dataset, options.data)
    if voice.as_json:
        print(json.dumps({"generators": found}, indent=2))
        return ExitCode.DONE
    from rich.table import Table

    columns = ("generator", "what it is", "steps", "weights", "ready for")
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in found:
        steps, ready = str(row["default_steps"]), ", ".join(row["ready"]) or "nothing yet"
        table.add_row(row["name"], row["summary"], steps, row["weights_from"], ready)
    voice.console.print(table, soft_wrap=False)
    headings = ("generator", "--set NAME", "default", "range", "what it does")
    settings = Table(*headings, box=None, pad_edge=False, header_style="bold")
    for row in found:
        for each in row["settings"]:
            settings.add_row(row["name"], each["name"], _shown(each["default"]), each["range"], each["help"])
    voice.console.print()
    voice.console.print(settings, soft_wrap=False)
    for row in found:
        for challenge, sentence in row["missing"].items():
            voice.console.print(f"[dim]{row['name']} on {challenge}: {sentence}[/dim]", soft_wrap=False)
    return ExitCode.DONE


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
        maker = get_generator(name)
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
