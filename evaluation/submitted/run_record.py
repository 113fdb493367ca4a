"""What the judge reads of a run's record: the data set and hash of its images, and how they were judged."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.base.challenge import Challenge, get_challenge
from evaluation.base.untrusted import UnreadableFileError, read_regular

RECORD = "record.json"
_MAX_BYTES = 2**26


@dataclass(frozen=True)
class RunRecord:
    """The folder of a run, as far as a judge is concerned.

    Attributes:
        content: all of its record, as it stands in the file.
        images_hash: None where the images were not counted.
        copies: whether its generator declares that it writes training images or parts of them.
        judged: epochs and rounds of the accuracy that it holds; None where it holds none.
    """

    folder: Path
    content: dict[str, Any]
    dataset: str | None
    images_hash: str | None
    copies: bool
    judged: tuple[int, int] | None


def read_run(folder: Path) -> RunRecord | None:
    """The run in `folder`; None where no record says that it is one. Raises ValueError for a file that is no record."""
    path = folder / RECORD
    if not path.is_file():
        return None
    try:
        told = json.loads(read_regular(path, _MAX_BYTES))
        accuracy, declared = told.get("accuracy") or {}, told.get("declared") or {}
        return RunRecord(
            folder=folder,
            content=told,
            dataset=told.get("dataset"),
            images_hash=told.get("images_hash"),
            copies=bool(declared.get("copies")),
            judged=(int(accuracy["epochs"]), len(accuracy["rounds"])) if accuracy else None,
        )
    except (UnreadableFileError, ValueError, TypeError, AttributeError, KeyError):
        raise ValueError(
            f"{path} is not the record of a run; to judge the images as a folder, give {folder / 'images'}"
        ) from None


def challenge_of(dataset: str | None, run: RunRecord | None, submission: Path) -> Challenge:
    """The challenge that `--dataset` or the run names. Raises ValueError where neither does, or they differ."""
    recorded = run.dataset if run else None
    if dataset is not None and recorded not in (None, dataset):
        get_challenge(dataset)
        raise ValueError(f"the run in {submission} is of {recorded}, not of {dataset}; leave out --dataset")
    if (name := dataset or recorded) is None:
        raise ValueError(f"{submission} is no run, so nothing says which data set it is for; give --dataset")
    return get_challenge(name)
