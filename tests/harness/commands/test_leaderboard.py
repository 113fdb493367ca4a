"""`leaderboard` as people and scripts see it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluation.base.command_line import ExitCode
from harness.commands.leaderboard import LeaderboardOptions, leaderboard
from harness.report.console import Voice
from tests.forked import run_forked
from tests.harness.leaderboard.samples import keep_run


def test_a_table_by_track_and_what_does_not_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs, site = tmp_path / "runs", tmp_path / "site"
    keep_run(runs / "good", rounds=(0.93, 0.94, 0.95))
    keep_run(runs / "changed", images_hash="b" * 64)
    assert leaderboard(LeaderboardOptions([runs], site), Voice()) is ExitCode.DONE
    out = capsys.readouterr().out
    assert "a processor, 2 cores, 1 min 00 s from process-start:" in out and "94.00%" in out
    assert "Not counted: runs/changed: Its images are not those that its record is of" in out
    assert f"Page: {site / 'index.html'}" in out

    assert leaderboard(LeaderboardOptions([runs], site), Voice(as_json=True)) is ExitCode.DONE
    assert json.loads(capsys.readouterr().out) == json.loads((site / "leaderboard.json").read_text())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([".", "--out", "site"], "Error: there is no run in .; give the folder of a run, or one that holds runs"),
        (["gone", "--out", "site"], "Error: there is no folder gone; give"),
        ([".", "--out", "notes"], "Error: notes is no folder; choose another --out"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    (tmp_path / "notes").touch()
    ended = run_forked("harness", ["leaderboard", *arguments], folder=tmp_path, environment={}, timeout=120)
    assert ended.returncode == ExitCode.BAD_INPUT
    assert ended.stderr.splitlines()[-1].startswith(sentence) and not (tmp_path / "site").exists()
