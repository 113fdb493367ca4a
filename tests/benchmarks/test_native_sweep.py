"""The sweep of `native`: what it writes is sampled as its best row was."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import native_sweep
from evaluation.base.challenge import get_challenge
from submission.contract.generator import LoadContext
from submission.generators.native import Native


def test_writes_weights_with_the_settings_of_the_most_accurate_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, best = tmp_path / "sweep.json", tmp_path / "best.safetensors"
    asked = ["--dataset", "digits", "--solvers", "ipndm", "--steps", "1", "2", "--guidance", "1", "1.5"]
    few = ["--ipc", "3", "--epochs", "2", "--rounds", "1", "--out", str(out), "--write", str(best)]
    monkeypatch.setattr(sys, "argv", ["native_sweep", *asked, *few])
    native_sweep.main()
    rows = json.loads(out.read_text())["rows"]
    assert len(rows) == 4
    row = max(rows, key=lambda row: row["accuracy"])
    native = Native.load(LoadContext(get_challenge("digits"), "cpu", best))
    assert (native.solver, native.guidance, Native.default_steps(best)) == (
        "ipndm",
        float(row["guidance"]),
        row["steps"],
    )
