"""An interruption ends a command at once, or where the command says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from evaluation.base import interruption
from evaluation.base.interruption import INTERRUPTIONS, held_back, interruptible


@pytest.fixture(autouse=True)
def nothing_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruption, "_last_raised", float("-inf"))


@pytest.mark.parametrize("number", INTERRUPTIONS)
def test_each_signal_interrupts(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), interruptible():
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) == before


def test_a_second_one_does_not_interrupt_what_the_first_began(monkeypatch: pytest.MonkeyPatch) -> None:
    with interruptible():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        monkeypatch.setattr(interruption, "SAME_WITHIN_S", 0.0)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_held_back_it_is_raised_at_the_end() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), interruptible(), held_back() as came:
        assert not came.is_set()
        with held_back() as inner:
            os.kill(os.getpid(), signal.SIGTERM)
            assert inner.is_set()
        done.append(came.is_set())
    assert done == [True]


def test_held_back_and_told_is_not_raised() -> None:
    with held_back(raises=False) as came:
        os.kill(os.getpid(), signal.SIGINT)
        assert came.is_set()


def test_other_threads_hear_nothing() -> None:
    def hold() -> bool:
        with held_back() as came:
            return came.is_set()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(hold).result() is False


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("package", "arguments", "imported"),
    [
        ("harness", [], "typer"),
        ("evaluation", [], "typer"),
        ("submission.training", ["native"], "submission.training.native.train"),
    ],
)
def test_a_command_can_be_interrupted_while_it_is_being_imported(
    package: str, arguments: list[str], imported: str
) -> None:
    program = f"""
import os, runpy, signal, sys
class Sender:
    def find_spec(self, name, path=None, target=None):
        if name == "{imported}":
            os.kill(os.getpid(), signal.SIGTERM)
sys.meta_path.insert(0, Sender())
runpy.run_module("{package}", run_name="__main__", alter_sys=True)
"""
    command = [sys.executable, "-c", program, *arguments, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, "Interrupted.\n"), done.stderr
