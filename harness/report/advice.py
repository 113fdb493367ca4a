"""What to do about an audit that failed."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.audits.audit import Audit
from harness.records.record import Record
from harness.records.run_folder import RunFolder

# what makes each audit pass; it is followed by the command that shows whether it does
_TO_DO = {
    "class_order": "Write each image under the label of what it shows.",
    "leakage": "Keep the test split away from whatever makes or chooses the images, and generate again.",
    "balance": "Generate again with a longer --budget, fewer --steps or a lower --ipc, so that no class is left out.",
    "pixels": "Write RGB pixels from 0 to 255, without normalisation or any other change of colours.",
    "files": "Write each image under another name and rename it when it is whole; the report lists what was left out.",
}
_OF_THE_JUDGE = ("--data", "--epochs", "--rounds")  # options of a run that the judge alone takes, too


@dataclass(frozen=True)
class Advice:
    """A failed audit, what is to be done, and the command for it."""

    audit: Audit
    to_do: str
    command: str


def advice(record: Record, root: Path) -> list[Advice]:
    """One for each failed audit of the run in `root`."""
    return [_advice(audit, record, root) for audit in record.audits if audit.status == "fail"]


def _advice(audit: Audit, record: Record, root: Path) -> Advice:
    folder = RunFolder(root)
    judge = [str(folder.images), "--dataset", record.dataset, *_given(record.command)]
    if "order" in audit.numbers:
        ordered = [*judge, "--class-order", str(folder.class_order)]
        to_do = "The images can be judged in the order that they suggest, which was written beside them:"
        return Advice(audit, to_do, shlex.join(["python", "-m", "evaluation", *ordered]))
    again = ["python", "-m", "evaluation", "audit", *judge[:3], *_given(record.command, ("--data",))]
    return Advice(audit, f"{_TO_DO.get(audit.name, 'Mend it.')} To check again:", shlex.join(again))


def _given(command: Sequence[str], options: Sequence[str] = _OF_THE_JUDGE) -> list[str]:
    """Those of the options that were given in a command, with their values."""
    found = []
    for place, word in enumerate(command):
        name, equals, value = word.partition("=")
        if name in options and (equals or place + 1 < len(command)):
            found += [name, value if equals else command[place + 1]]
    return found
