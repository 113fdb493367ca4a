"""SIGTERM, Ctrl-C and hang-ups at each phase: one exit code, a record and a report, and nothing is left."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.base.command_line import ExitCode
from evaluation.base.limits import usable_cores
from harness.report.console import Voice
from harness.run.options import RunOptions
from harness.run.run import run
from tests.end_to_end.faults.harness_at_work import ESCAPES, PAINTED, PAINTS, RUN, Start, record_of, resumed
from tests.end_to_end.faults.matrix import Row, proves
from tests.end_to_end.faults.plants import (
    interrupted_while_reporting,
    quick_to_profile,
    slow_from_the_third_step,
    slow_to_audit,
    slow_to_count,
    slow_to_read,
)


@proves(
    Row("SIGTERM while the data is read", "exit code 130", "nothing was begun"),
    Row("SIGKILL while the data is read", "killed", "nothing was begun"),
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_while_the_data_is_read_there_is_nothing_to_keep(start: Start, tmp_path: Path, number: signal.Signals) -> None:
    harness = start(*RUN, "--command", PAINTED, plant=slow_to_read)
    harness.wait_until_reached()
    harness.signal(number)
    assert harness.ended() == (130 if number == signal.SIGTERM else -signal.SIGKILL)
    assert harness.printed == ("Interrupted.\n" if number == signal.SIGTERM else "")
    assert not (tmp_path / "work" / "run").exists()


@proves(
    Row(
        "SIGTERM while generating, twice", "`interrupted`, exit code 130", "whole images, the ledger, record and report"
    ),
    Row(
        "Ctrl-C while generating, twice", "`interrupted`, exit code 130", "whole images, the ledger, record and report"
    ),
    Row(
        "SIGHUP while generating, twice", "`interrupted`, exit code 130", "whole images, the ledger, record and report"
    ),
)
@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, marks=pytest.mark.slow),
    ],
)
def test_while_generating(start: Start, tmp_path: Path, number: signal.Signals) -> None:
    harness, output = start(*RUN, "--command", PAINTS), tmp_path / "work" / "run"
    harness.wait_for(lambda: len(list(output.glob("images/*/*.png"))) > 20, "some images")
    harness.signal(number)
    harness.signal(number)  # people press twice
    assert harness.ended() == 130
    record = record_of(output)
    assert (record["outcome"], record["clock"]["ended_by"]) == ("interrupted", "interrupt")
    assert record["images"] > 0
    assert sum(record["clock"]["ledger"][phase] for phase in ("load", "warmup", "profile", "generate", "write", "idle"))
    assert "interrupted" in (output / "report.html").read_text()
    assert not (output / ".generation.json").exists()
    again = start(*RUN, "--resume")
    assert again.ended() == 2 and "start a new run" in again.printed


@proves(
    Row(
        "SIGTERM while generating, with 50,000 images on disk",
        "`interrupted`, exit code 130 within 3 s",
        "the images, counted by their names; record and report",
    ),
)
def test_with_tens_of_thousands_of_images_an_interruption_ends_it_as_soon(start: Start, tmp_path: Path) -> None:
    output = tmp_path / "work" / "run"
    program = [sys.executable, str(ESCAPES / "fills_its_folder.py"), "5000"]
    harness = start(*RUN, "--command", shlex.join(program), "--no-judge")
    harness.wait_for((output / "images" / "done.txt").exists, "the last image")
    before = time.monotonic()
    harness.signal(signal.SIGTERM)
    assert harness.ended() == 130
    waiting = max(1.0, os.getloadavg()[0] / usable_cores())  # for each turn on a core
    assert time.monotonic() - before < 3 * waiting
    record = record_of(output)
    assert (record["outcome"], record["images"], record["images_hash"]) == ("interrupted", 50_000, None)
    assert record["ipc"]["min"] == record["ipc"]["max"] == 5_000 and "were not opened" in record["detail"]
    assert "interrupted" in (output / "report.html").read_text()


@proves(
    Row("SIGTERM while images are counted", "exit code 130", "the clock's record; `--resume` counts them and goes on"),
    Row("SIGKILL while images are counted", "killed", "the clock's record; `--resume` counts them and goes on"),
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_while_counting_the_clock_is_on_record_and_the_run_goes_on(
    start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    output = tmp_path / "work" / "run"
    harness = start(*RUN, "--command", PAINTED, "--no-judge", plant=slow_to_count)
    harness.wait_until_reached()
    harness.signal(number)
    assert harness.ended() == (130 if number == signal.SIGTERM else -signal.SIGKILL)
    record = record_of(output)
    assert (record["outcome"], record["clock"]["ended_by"], record["images"]) == ("interrupted", "program", 0)
    assert (output / "report.html").exists() == (number == signal.SIGTERM)
    finished = resumed(output)
    assert (finished.exit_code, finished.record.outcome, finished.record.images) == (ExitCode.DONE, "ok", 10)
    assert json.loads(finished.record.to_json())["clock"] == record["clock"]


@proves(
    Row("SIGTERM while auditing", "exit code 130", "record and report; `--resume` goes on"),
    Row("SIGKILL while auditing", "killed", "the record; `--resume` goes on"),
)
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_while_auditing_the_images_are_counted(start: Start, tmp_path: Path, number: signal.Signals) -> None:
    output = tmp_path / "work" / "run"
    harness = start(*RUN, "--command", PAINTED, "--no-judge", plant=slow_to_audit)
    harness.wait_until_reached()
    harness.signal(number)
    assert harness.ended() == (130 if number == signal.SIGTERM else -signal.SIGKILL)
    record = record_of(output)
    assert (record["outcome"], record["images"], record["audits"]) == ("ok", 10, [])
    assert (output / "report.html").exists() == (number == signal.SIGTERM)
    finished = resumed(output)
    assert finished.exit_code is ExitCode.DONE and finished.record.audits
    assert finished.record.images_hash == record["images_hash"]


@proves(
    Row(
        "SIGTERM while judging",
        "exit code 130",
        "every step; `--resume` ends with the score of an unbroken run",
    ),
)
@pytest.mark.slow
def test_while_judging_all_that_was_done_is_kept(start: Start, tmp_path: Path) -> None:
    output, judged = tmp_path / "work" / "run", ("--epochs", "6", "--rounds", "2")
    harness = start(*RUN, "--command", PAINTED, *judged, plant=slow_from_the_third_step)
    harness.wait_until_reached()
    harness.signal(signal.SIGTERM)
    assert harness.ended() == 130
    assert "Continue with --resume" in harness.printed
    assert (output / "report.html").exists() and record_of(output)["accuracy"] is None
    from safetensors import safe_open

    with safe_open(output / "judging.ckpt", framework="pt") as file:
        (begun,) = json.loads(file.metadata()["judge"])["at_work"]
    assert begun["steps_done"] == 3, "not one step is lost"
    went_on = resumed(output, epochs=6, rounds=2).record.accuracy
    whole = resumed(output, epochs=6, rounds=2).record.accuracy
    assert went_on and whole and replace(went_on, seconds=0) == replace(whole, seconds=0)
    assert not list(output.glob("*.ckpt"))


@proves(
    Row("SIGTERM to `python -m evaluation`", "exit code 130", "every step of the training; the same command goes on"),
)
@pytest.mark.slow
def test_the_judge_alone_keeps_its_checkpoint_too(start: Start, tmp_path: Path) -> None:
    painted = run(RunOptions("digits", command=PAINTED, judged=False, out=tmp_path / "run"), Voice(), [])
    judge = (painted.folder, "--dataset", "digits", "--epochs", "6", "--rounds", "1", "--no-audits")
    checkpoint = tmp_path / "judge.ckpt"
    harness = start(*judge, "--checkpoint", checkpoint, plant=slow_from_the_third_step, module="evaluation")
    harness.wait_until_reached()
    harness.signal(signal.SIGTERM)
    assert harness.ended() == 130 and checkpoint.exists()
    assert harness.printed.endswith("Interrupted.\n")
    again = start(*judge, "--checkpoint", checkpoint, module="evaluation")
    assert again.ended() == 0 and "Accuracy" in again.printed and not checkpoint.exists()


@proves(
    Row("SIGTERM while profiling", "exit code 130", "no process and no folder is left"),
    Row("SIGKILL while profiling", "killed", "no process is left; the next profile removes the folder"),
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_while_profiling_neither_process_nor_folder_is_left(
    start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    harness, scratch = start("profile", "--dataset", "digits", "--generator", "noise"), tmp_path / "work" / "runs"
    harness.wait_for(lambda: list(scratch.glob(".profile-*/log.txt")), "the process that is measured")
    harness.signal(number)
    assert harness.ended() == (130 if number == signal.SIGTERM else -signal.SIGKILL)
    assert bool(list(scratch.iterdir())) == (number == signal.SIGKILL)


@proves(
    Row("SIGTERM while tuning", "exit code 130", "no process and no folder is left"),
)
@pytest.mark.slow
def test_while_tuning_nothing_is_left(start: Start, tmp_path: Path) -> None:
    tune = ("tune", "--dataset", "digits", "--generator", "native", "--steps", "1,2", "--budget", "5s", "--ipc", "4")
    harness = start(*tune, "--epochs", "100000", "--rounds", "1", "--out", "tuned", plant=quick_to_profile)
    tuned = tmp_path / "work" / "tuned"
    harness.wait_for(lambda: list(tuned.glob(".pilots-*/*/images/*/*.png")), "the first pilot")
    harness.signal(signal.SIGTERM)
    assert harness.ended() == 130
    assert not tuned.exists()


@pytest.mark.slow
@proves(Row("SIGTERM while the report is written", "exit code 130", "all of it: record and report are whole"))
def test_while_reporting(start: Start, tmp_path: Path) -> None:
    output = tmp_path / "work" / "run"
    harness = start(*RUN, "--command", PAINTED, "--no-judge", plant=interrupted_while_reporting)
    assert harness.ended() == 130
    assert record_of(output)["outcome"] == "ok" and "</html>" in (output / "report.html").read_text()
