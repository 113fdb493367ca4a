"""A record that a judge is given is one, or one sentence says why not, before anything is judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaluation.submitted.run_record import read_run

TOLD: dict[str, Any] = {
    "schema": 1,
    "dataset": "digits",
    "images_hash": "a" * 64,
    "declared": {"copies": True},
    "ipc": {"mean": 1.0},
    "accuracy": {"epochs": 5, "rounds": [0.5]},
    "baseline": {"accuracy": {"epochs": 5, "rounds": [0.5]}},
    "whatever": [1, "two"],
}


def _run(folder: Path, text: str) -> Path:
    (folder / "record.json").write_text(text)
    return folder


def test_what_a_judge_needs_is_read_and_the_rest_kept(tmp_path: Path) -> None:
    found = read_run(_run(tmp_path, json.dumps(TOLD)))
    assert found is not None and found.content == TOLD
    assert (found.dataset, found.copies, found.judged) == ("digits", True, (5, 1))


@pytest.mark.parametrize(
    "changes",
    [
        {"dataset": ["digits"]},
        {"generator": {"name": "noise"}},
        {"images_hash": 1},
        {"declared": [1]},
        {"ipc": [1]},
        {"accuracy": {"epochs": 5}},
        {"accuracy": {"epochs": "many", "rounds": []}},
        {"baseline": {"accuracy": None}},
        {"budget_s": float("nan")},
        {"detail": "\ud800"},
        {"schema": "first"},
    ],
)
def test_what_is_no_record_is_refused_in_one_sentence(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"is not the record of a run; to judge the images as a folder, give") as told:
        read_run(_run(tmp_path, json.dumps({**TOLD, **changes})))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "1", "[" * 100_000, '{"schema": 1, "schema": []}'])
def test_neither_is_another_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="is not the record of a run"):
        read_run(_run(tmp_path, text))


def test_a_record_of_a_later_schema_is_not_judged_over(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is of schema 999, not of 1"):
        read_run(_run(tmp_path, json.dumps({**TOLD, "schema": 999})))
