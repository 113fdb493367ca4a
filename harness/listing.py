"""`generators`: what there is, and what it needs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from evaluation.challenge import challenges, get_challenge
from submission.generator import generator_names, get_generator


def rows(dataset: str | None) -> list[dict[str, Any]]:
    """One dict per generator: its info, and under `ready` the data sets for which nothing is missing."""
    wanted = [get_challenge(dataset)] if dataset else list(challenges().values())
    found = []
    for name in generator_names():
        maker = get_generator(name)
        ready, missing = [], {}
        for challenge in wanted:
            try:
                maker.check_weights(challenge)
                ready.append(challenge.name)
            except ValueError as error:
                missing[challenge.name] = str(error)
        found.append({**asdict(maker.info), "ready": ready, "missing": missing})
    return found


def show_generators(dataset: str | None, as_json: bool) -> None:
    """Print the rows, as a table or as one JSON object."""
    found = rows(dataset)
    if as_json:
        print(json.dumps({"generators": found}, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "generator", "what it is", "steps", "weights", "ready for", box=None, pad_edge=False, header_style="bold"
    )
    for row in found:
        steps, ready = str(row["default_steps"]), ", ".join(row["ready"]) or "nothing yet"
        table.add_row(row["name"], row["summary"], steps, row["weights_from"], ready)
    console = Console()
    console.print(table)
    for row in found:
        for challenge, sentence in row["missing"].items():
            console.print(f"[dim]{row['name']} on {challenge}: {sentence}[/dim]", highlight=False)
