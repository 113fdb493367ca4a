"""What `tune` chose, stored on this machine for `run` to pick up."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from evaluation.base.files import write_text
from harness.planning.profile import ProfileKey, load_stored, stored_path
from harness.tuning.successive_halving import Candidate

SCHEMA = 1


@dataclass(frozen=True)
class TunedChoice:
    """The candidate to run with.

    Attributes:
        key, budget_s, ipc_cap: what it was chosen for; the settings in the key are the user's own.
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
    def sentence(self) -> str:
        """What a run says of it."""
        low, high = (100 * end for end in self.ci95)
        return (
            f"Tuned on {self.at[:10]} for this budget: {Candidate(self.steps, self.settings).name} (forecast"
            f" {100 * self.accuracy:.1f}% [{low:.1f}, {high:.1f}] on held-out training images, {self.epochs} epochs)."
        )


def choice_path(key: ProfileKey, budget_s: float, ipc_cap: int | None) -> Path:
    """Where the choice for runs of this kind is stored."""
    return stored_path("tuned", key, [asdict(key), budget_s, ipc_cap])


def store_choice(choice: TunedChoice) -> Path:
    """Write it, in place of an earlier one; returns where. Raises OSError where it cannot be written."""
    path = choice_path(choice.key, choice.budget_s, choice.ipc_cap)
    write_text(path, json.dumps(asdict(choice), indent=1) + "\n")
    return path


def load_choice(key: ProfileKey, budget_s: float, ipc_cap: int | None) -> TunedChoice | None:
    """The choice for runs of exactly this kind, None where there is none that can be read."""
    choice = load_stored(TunedChoice, choice_path(key, budget_s, ipc_cap))
    return choice if choice and choice.schema == SCHEMA else None
