"""The local engine: a run for each card at a time, failures told, nothing left behind by an interruption."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.compare.cards import parse_cards
from harness.compare.engines.engine import Done, RunTask
from harness.compare.engines.local import Local
from tests.harness.compare.engines.marked import marked

ROOT = Path(__file__).resolve().parents[4]


def task(folder: Path, name: str, command: str) -> RunTask:
    """A run of `command`, unjudged."""
    options = ("--dataset", "digits", "--no-judge", "--budget", "60s")
    options = (*options, "--command", command, "--trust", "--name", name)
    return RunTask(name, "digits", options, (), 1, folder / name, False, folder / f"{name}.log")


def test_every_task_is_done_and_a_failure_says_why(tmp_path: Path) -> None:
    done: list[Done] = []
    Local().run([task(tmp_path, "a", "false"), task(tmp_path, "b", "no-such-program")], done.append)
    assert [(each.task.name, each.exit_code) for each in done] == [("a", 3), ("b", 2)]
    assert "no program 'no-such-program'" in done[1].said


def test_a_card_has_one_run_at_a_time(tmp_path: Path) -> None:
    """Each run notes its card when it starts and ends; no card starts twice before it has ended."""
    script = tmp_path / "note.py"
    script.write_text(
        "import os, time\n"
        f"def note(what): open({str(tmp_path / 'notes')!r}, 'a').write(os.environ['CUDA_VISIBLE_DEVICES'] + what)\n"
        "note('+'); time.sleep(0.3); note('-')\n"
    )
    done: list[Done] = []
    tasks = [task(tmp_path, f"t{number}", f"{sys.executable} {script}") for number in range(3)]
    Local((4, 7)).run(tasks, done.append)
    notes = (tmp_path / "notes").read_text()
    assert len(done) == 3 and {"4", "7"} >= set(re.sub(r"[+-]", "", notes))
    for card in "47":
        assert re.fullmatch(r"(\+-)*", "".join(re.findall(rf"{card}([+-])", notes)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_outlives_an_interruption(number: signal.Signals, tmp_path: Path) -> None:
    mark = f"bench-{os.getpid()}-{number.name}"
    code = (
        "from pathlib import Path; from harness.compare.engines.local import Local\n"
        "from tests.harness.compare.engines.test_local import task\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "Local().run([task(folder, 'a', 'sleep 50'), task(folder, 'b', 'sleep 50')], print)\n"
    )
    bench = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "BENCH_MARK": mark})
    try:
        until = time.monotonic() + 120
        while "sleep" not in marked(mark):
            assert time.monotonic() < until, "the generator never started"
            time.sleep(0.1)
        bench.send_signal(number)
        bench.wait(60)
        until = time.monotonic() + 60
        while (left := marked(mark)) and time.monotonic() < until:
            time.sleep(0.1)
        assert not left
    finally:
        bench.kill()
        bench.wait()
    assert not (tmp_path / "b").exists(), "what was waiting never starts"


def test_cards_as_people_write_them() -> None:
    assert parse_cards("0-3,6") == (0, 1, 2, 3, 6) and parse_cards("2") == (2,)
    for wrong in ("", "3-1", "a", "1-", "-1"):
        with pytest.raises(ValueError, match="write 0-3"):
            parse_cards(wrong)
