"""The script that starts an engine: where it cannot, it says why, fails nothing and leaves nothing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).with_name("engine.sh")
NOBODY = 65534


def run_script(*arguments: str, user: int | None) -> subprocess.CompletedProcess[str]:
    """The script read from standard input, so that `user` need not be able to read the checkout."""
    with SCRIPT.open(encoding="utf-8") as script:
        return subprocess.run(
            ["bash", "-s", *arguments],
            stdin=script,
            env={**os.environ, "DOCKER_HOST": "unix:///nowhere/docker.sock"},
            user=user,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=60,
        )


def test_whoever_may_not_start_an_engine_is_told_and_nothing_fails() -> None:
    done = run_script("with", "false", user=NOBODY if os.geteuid() == 0 else None)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "SKIPPED: no Docker engine answers, and only root can start one\n"


def test_a_call_that_means_nothing_shows_how_it_is_called() -> None:
    done = subprocess.run(["bash", str(SCRIPT), "begin"], capture_output=True, text=True)
    assert done.returncode == 2 and "engine.sh with COMMAND" in done.stderr and "set -e" not in done.stderr
