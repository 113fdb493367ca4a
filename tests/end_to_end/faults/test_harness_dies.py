"""SIGKILL and SIGSTOP of the harness at each phase: what is kept, how it goes on, and nothing is left."""

from __future__ import annotations

import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from evaluation.base.command_line import ExitCode
from tests.end_to_end.faults.harness_at_work import PAINTED, PAINTS, RUN, HarnessAtWork, Start, record_of, resumed
from tests.end_to_end.faults.matrix import Row, proves
from tests.end_to_end.faults.plants import saves_each_step_and_dies_at_the_third, slow_to_report
from tests.end_to_end.faults.test_generation_faults import command_of
from tests.end_to_end.harness_process import marked


@proves(Row("SIGKILL of the harness while generating", "killed", "a record without a clock; a new run is needed"))
def test_a_harness_that_is_killed_takes_its_generator_along(start: Start, tmp_path: Path) -> None:
    harness, output = start(*RUN, "--command", PAINTS), tmp_path / "work" / "run"
    harness.wait_for(lambda: list(output.glob("images/*/*.png")), "an image")
    harness.signal(signal.SIGKILL)
    assert harness.ended() == -signal.SIGKILL
    record = record_of(output)
    assert (record["outcome"], record["clock"]) == ("interrupted", None)
    again = start(*RUN, "--resume")
    assert again.ended() == 2 and "start a new run" in again.printed


@proves(Row("SIGSTOP of the harness beyond the deadline", "`deadline_truncated`", "what was whole at the deadline"))
def test_the_deadline_holds_though_the_harness_is_stopped(start: Start, tmp_path: Path) -> None:
    output = tmp_path / "work" / "run"
    harness = start(*RUN, "--command", PAINTS, "--budget", "4s", "--no-judge")
    harness.wait_for(lambda: len(list(output.glob("images/*/*.png"))) > 20, "some images")
    harness.signal(signal.SIGSTOP)
    harness.wait_for(lambda: not painters(harness), "the end of the generator")
    harness.signal(signal.SIGCONT)
    assert harness.ended() == 0
    record = record_of(output)
    assert record["outcome"] == "deadline_truncated" and record["images"] >= 10


def painters(harness: HarnessAtWork) -> list[psutil.Process]:
    found = []
    for process in marked(str(harness.folder)):
        with suppress(psutil.Error):
            found += [process] if any("never_stops" in word for word in process.cmdline()) else []
    return found


@proves(
    Row("SIGKILL while judging", "killed", "what was saved last; `--resume` ends with the score of an unbroken run"),
)
@pytest.mark.slow
def test_a_harness_that_is_killed_while_judging_goes_on_from_what_it_saved(start: Start, tmp_path: Path) -> None:
    output, judged = tmp_path / "work" / "run", ("--epochs", "6", "--rounds", "2")
    harness = start(*RUN, "--command", PAINTED, *judged, plant=saves_each_step_and_dies_at_the_third)
    harness.wait_until_reached()
    harness.signal(signal.SIGKILL)
    assert harness.ended() == -signal.SIGKILL
    record = record_of(output)
    assert (record["outcome"], record["images"], record["accuracy"]) == ("ok", 10, None) and record["audits"]
    assert (output / "judging.ckpt").exists() and not (output / "report.html").exists()
    went_on = resumed(output, epochs=6, rounds=2)
    whole = resumed(output, epochs=6, rounds=2).record.accuracy
    accuracy = went_on.record.accuracy
    assert accuracy and whole and replace(accuracy, seconds=0) == replace(whole, seconds=0)
    assert went_on.report.exists() and not list(output.glob("*.ckpt"))


@pytest.mark.slow
@proves(Row("SIGKILL while the report is written", "killed", "the record; `--resume` writes the report"))
def test_a_harness_that_is_killed_while_reporting(start: Start, tmp_path: Path) -> None:
    output = tmp_path / "work" / "run"
    harness = start(*RUN, "--command", PAINTED, "--no-judge", plant=slow_to_report)
    harness.wait_until_reached()
    harness.signal(signal.SIGKILL)
    assert harness.ended() == -signal.SIGKILL
    record = record_of(output)
    assert record["outcome"] == "ok" and record["audits"] and not (output / "report.html").exists()
    finished = resumed(output)
    assert finished.exit_code is ExitCode.DONE and "</html>" in finished.report.read_text()
    assert finished.record.images_hash == record["images_hash"]


@pytest.mark.slow
@proves(
    Row("A trusted generator that interrupts the harness", "`interrupted`, exit code 130", "whole images"),
    Row("A trusted generator that kills the harness", "killed", "no process is left"),
)
@pytest.mark.parametrize(("program", "code"), [("interrupt_the_harness", 130), ("kill_the_harness", -signal.SIGKILL)])
def test_a_trusted_generator_turns_on_the_harness(start: Start, tmp_path: Path, program: str, code: int) -> None:
    harness = start(*RUN, "--command", command_of(program), "--trust")
    assert harness.ended() == code
    record = record_of(tmp_path / "work" / "run")
    assert record["outcome"] == "interrupted" and record["images"] == (10 if code == 130 else 0)
