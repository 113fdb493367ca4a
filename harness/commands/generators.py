"""`generators`: what there is, and what it needs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evaluation.base.challenge import challenges, get_challenge
from evaluation.data.datasets import is_at_hand
from submission.contract.generator import generator_names, get_generator


def rows(dataset: str | None, data: Path | None) -> list[dict[str, Any]]:
    """One dict per generator: its info, and under `ready` the data sets for which nothing is missing.

    Args:
        data: folder of the real data sets, as `evaluation.data.datasets.data_folder` gives it.
    """
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
        found.append({**asdict(maker.info), "ready": ready, "missing": missing})
    return found


def show_generators(dataset: str | None, data: Path | None, as_json: bool) -> None:
    """Print the rows, as a table or as one JSON object."""
    found = rows(dataset, data)
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
