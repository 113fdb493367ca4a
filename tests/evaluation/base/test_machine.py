import subprocess
import sys

import pytest

from evaluation.base.machine import commit, this_machine


def test_the_command_says_nothing_of_where_things_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["x", "curve", "--data", "/home/somebody/data", "--out", "curves/digits.json"])
    command = this_machine().command
    assert command.endswith("curve --data data --out curves/digits.json")
    assert "somebody" not in command


def test_the_machine_has_what_a_result_needs() -> None:
    here = this_machine()
    assert here.cores >= 1 and here.memory_gb > 0 and here.gpu is None
    assert {"python", "torch", "numpy"} <= here.versions.keys()


def test_without_git_the_commit_is_what_the_image_was_built_from(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_git(*_: object, **__: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(subprocess, "run", no_git)
    monkeypatch.setenv("SUBMISSION_COMMIT", "1a2b3c")
    assert commit() == "1a2b3c"
    monkeypatch.setenv("SUBMISSION_COMMIT", "")
    assert commit() is None
