"""Held-out accuracy by the script, on digits."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks.held_out import epochs_for, main


def test_rows_are_added_and_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "rows.json"
    for generator, length in (("native", ("--epochs", "1")), ("real", ("--steps", "6")), ("real", ("--steps", "6"))):
        command = ["held_out", "--dataset", "digits", "--generator", generator, "--ipc", "2,4", *length]
        monkeypatch.setattr(sys, "argv", [*command, "--out", str(out)])
        main()
    report = json.loads(out.read_text())
    assert [(row["generator"], row["ipc"]) for row in report["rows"]] == [
        ("native", 2.0),
        ("native", 4.0),
        ("real", 2.0),
        ("real", 4.0),
    ]
    assert {row["sgd_steps"] for row in report["rows"][2:]} == {6}
    assert "near_copies" in report["rows"][0]
    assert "near_copies" not in report["rows"][2], "real images are no generator's"
    assert report["held_out_images"] > 0


def test_as_many_steps_are_fewer_epochs_of_more_images() -> None:
    assert (epochs_for(1500, 6400), epochs_for(1500, 12800)) == (59, 29)
