"""What the judge reads of a run's record: the data set and hash of its images, and how they were judged."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from evaluation.base.challenge import Challenge, get_challenge
from evaluation.base.untrusted import UnreadableFileError, read_regular

RECORD = "record.json"
# of records; it counts up when a key changes its meaning
SCHEMA = 1
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


class _Trained(BaseModel):
    epochs: int


class _Judged(_Trained):
    rounds: list[float]


class _Baseline(BaseModel):
    accuracy: _Trained


class _Declared(BaseModel):
    copies: bool = False


class _Told(BaseModel):
    """Those keys of a record that a judge reads or replaces."""

    version: int = Field(default=SCHEMA, alias="schema")
    dataset: str | None = None
    generator: str = ""
    images_hash: str | None = None
    declared: _Declared | None = None
    ipc: dict[str, Any] | None = None
    accuracy: _Judged | None = None
    baseline: _Baseline | None = None


def read_run(folder: Path) -> RunRecord | None:
    """The run in `folder`; None where no record says that it is one.

    Raises ValueError for a file that is no record, or one of another schema, of which nobody knows what its keys mean.
    """
    path = folder / RECORD
    if not path.is_file():
        return None
    try:
        content = read_regular(path, _MAX_BYTES)
        told = _Told.model_validate_json(content)
        as_it_stands = json.loads(content, parse_constant=_refuse)
    except (UnreadableFileError, ValueError, RecursionError):
        raise ValueError(
            f"{path} is not the record of a run; to judge the images as a folder, give {folder / 'images'}"
        ) from None
    if told.version != SCHEMA:
        raise ValueError(
            f"{path} is of schema {told.version}, not of {SCHEMA}; judge it with the version that wrote it, or its"
            f" images as a folder: {folder / 'images'}"
        )
    return RunRecord(
        folder=folder,
        content=as_it_stands,
        dataset=told.dataset,
        images_hash=told.images_hash,
        copies=told.declared is not None and told.declared.copies,
        judged=(told.accuracy.epochs, len(told.accuracy.rounds)) if told.accuracy else None,
    )


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def challenge_of(dataset: str | None, run: RunRecord | None, submission: Path) -> Challenge:
    """The challenge that `--dataset` or the run names. Raises ValueError where neither does, or they differ."""
    recorded = run.dataset if run else None
    if dataset is not None and recorded not in (None, dataset):
        get_challenge(dataset)
        raise ValueError(f"the run in {submission} is of {recorded}, not of {dataset}; leave out --dataset")
    if (name := dataset or recorded) is None:
        raise ValueError(f"{submission} is no run, so nothing says which data set it is for; give --dataset")
    return get_challenge(name)
