"""`compare` as people and scripts see it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluation.base.command_line import ExitCode
from harness.commands.compare import CompareOptions, compare
from harness.report.console import Voice
from tests.harness.records.samples import accuracy, record


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    made = []
    for name, rounds in (("a", (0.90, 0.92, 0.91)), ("b", (0.88, 0.91, 0.89))):
        folder = tmp_path / name
        folder.mkdir()
        kept = accuracy(rounds=rounds, mean=sum(rounds) / 3, epochs=20)
        record(accuracy=kept, settings={"ipc_cap": 2}).save(folder / "record.json")
        made.append(folder)
    return made


def test_a_table_and_what_it_rests_on(runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(CompareOptions(runs), Voice()) is ExitCode.DONE
    out = capsys.readouterr().out
    assert "-1.67" in out and "[-3.10, -0.23]" in out and "IPC 2" in out
    assert "paired by seed" in out and "preview: 20 epochs" in out and "judge's chance alone" in out


def test_the_exit_code_is_a_gate(runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(CompareOptions(runs, fail_below=-1.0), Voice()) is ExitCode.REGRESSION
    assert "-1.67 points" in capsys.readouterr().out
    assert compare(CompareOptions(runs, fail_below=-2.0), Voice()) is ExitCode.DONE


def test_json_holds_fractions(runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    compare(CompareOptions(runs), Voice(as_json=True))
    (found,) = json.loads(capsys.readouterr().out)
    assert found["difference"]["estimate"] == pytest.approx(-0.05 / 3)
    assert found["difference"]["ci95"][1] < 0 and found["difference"]["p"] == found["p_corrected"]
    assert found["mean_a"]["n"] == 3 and found["place"] == {"dataset": "digits", "epochs": 20, "limit": "IPC 2"}


def test_one_submission_is_not_enough(runs: list[Path]) -> None:
    with pytest.raises(ValueError, match="two submissions"):
        CompareOptions(runs[:1])
