"""Folders that one process at a time may have."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from evaluation.base.files import claimed

_CLAIMS = "import sys; from pathlib import Path; from evaluation.base.files import claimed\n"


def test_a_folder_is_claimed_once(tmp_path: Path) -> None:
    with claimed(tmp_path) as first, claimed(tmp_path) as second:
        assert (first, second) == (True, False)
    with claimed(tmp_path) as again:
        assert again


def test_a_process_that_is_killed_lets_go(tmp_path: Path) -> None:
    program = _CLAIMS + "with claimed(Path(sys.argv[1])) as got: print(got, flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout and other.stdout.readline() == "True\n"
        with claimed(tmp_path) as free:
            assert not free
        other.kill()
    with claimed(tmp_path) as free:
        assert free
