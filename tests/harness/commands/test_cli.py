"""Every command of the harness answers `--help`."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from harness.commands.cli import app


@pytest.mark.parametrize("command", ["run", "profile", "tune", "generators", "anytime", "doctor"])
def test_every_command_helps(command: str) -> None:
    done = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"})
    assert done.exit_code == 0 and "--json" in done.stdout and "--debug" in done.stdout
