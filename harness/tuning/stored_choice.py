"""What `tune` chose, kept on this machine for `run` to pick up."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from evaluation.base.files import written_whole
from evaluation.data.datasets import cache_folder
from harness.planning.profile import ProfileKey

SCHEMA = 1


@dataclass(frozen=True)
class TunedPlan:
    """The candidate to run with.

    Attributes:
        key: generator, data set, the user's own settings, weights, machine and versions that it was chosen for.
        budget_s, ipc_cap: of the runs that it was chosen for.
        steps, settings: what was chosen; the settings stand beside the user's own.
        accuracy, ci95: forecast on held-out training images for the budget.
        epochs, rounds: of the pilots' judgements.
        at: UTC.
    """

    key: ProfileKey
    budget_s: float
    ipc_cap: int | None
    steps: int
    settings: Mapping[str, str]
    accuracy: float
    ci95: tuple[float, float]
    epochs: int
    rounds: int
    at: str
    schema: int = SCHEMA

    @property
    def words(self) -> str:
        """`10 steps, guidance=1.5`."""
        return ", ".join([f"{self.steps} steps", *(f"{name}={value}" for name, value in self.settings.items())])


def plan_path(key: ProfileKey, budget_s: float, ipc_cap: int | None, folder: Path | None = None) -> Path:
    """Where the plan for runs of this kind is kept."""
    told = json.dumps([asdict(key), budget_s, ipc_cap], sort_keys=True)
    digest = hashlib.blake2b(told.encode(), digest_size=8).hexdigest()
    return (folder or cache_folder() / "tuned") / f"{key.generator}-{key.dataset}-{digest}.json"


def keep_tuned(plan: TunedPlan, folder: Path | None = None) -> Path:
    """Write it, in place of an earlier one; returns where."""
    path = plan_path(plan.key, plan.budget_s, plan.ipc_cap, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as part:
        part.write_text(json.dumps(asdict(plan), indent=1) + "\n", encoding="utf-8")
    return path


def find_tuned(key: ProfileKey, budget_s: float, ipc_cap: int | None, folder: Path | None = None) -> TunedPlan | None:
    """The plan for runs of exactly this kind, None where there is none that can be read."""
    try:
        told = json.loads(plan_path(key, budget_s, ipc_cap, folder).read_text(encoding="utf-8"))
        if told.get("schema") != SCHEMA:
            return None
        low, high = told["ci95"]
        return TunedPlan(**{**told, "key": ProfileKey(**told["key"]), "ci95": (low, high)})
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def tuned_words(plan: TunedPlan) -> str:
    """One sentence on the plan that a run takes."""
    low, high = (100 * end for end in plan.ci95)
    return (
        f"Tuned on {plan.at[:10]} for this budget: {plan.words} (forecast {100 * plan.accuracy:.1f}% [{low:.1f},"
        f" {high:.1f}] on held-out training images, {plan.epochs} epochs)."
    )
