"""SIGTERM, Ctrl-C and hang-ups at each phase: one exit code, a record and a report, and nothing is left."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from evaluation.base.command_line import ExitCode
from harness.report.console import Voice
from harness.run.options import RunOptions
from harness.run.run import Finished, run
from tests.end_to_end.faults.harness_at_work import HarnessAtWork, reached, record_of, slowed
from tests.end_to_end.faults.matrix import Row, proves
from tests.end_to_end.faults.test_generation_faults import command_of
from tests.end_to_end.harness_process import marked

ESCAPES = Path(__file__).parents[1] / "escapes"
PAINTS = shlex.join([sys.executable, str(ESCAPES / "never_stops.py")])
PAINTED = shlex.join([sys.executable, str(ESCAPES / "fills_memory.py"), "1"])  # ends well, with an image of each class

Start = Callable[..., HarnessAtWork]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a harness in the test's folder; none is left after the test."""
    started: list[HarnessAtWork] = []

    def start(*arguments: object, **how: Any) -> HarnessAtWork:
        started.append(HarnessAtWork(tmp_path / "work", [str(each) for each in arguments], **how))
        return started[-1]

    yield start
    for each in started:
        each.close()


def slow_to_read(folder: Path) -> None:
    import harness.run.run as module

    slowed(module, "load_split", folder)


def slow_to_count(folder: Path) -> None:
    import harness.run.collect as module

    slowed(module, "read_folder", folder)


def slow_to_audit(folder: Path) -> None:
    import harness.run.run as module

    slowed(module, "run_audits", folder)


def slow_from_the_third_step(folder: Path) -> None:
    """The real judge, which tells of its third step and waits a little, for a signal to come."""
    from evaluation.judge.checkpoint import Monitor

    after_step = Monitor.after_step

    def slow(self: Monitor, seed: int, steps_done: int, *rest: Any) -> None:
        after_step(self, seed, steps_done, *rest)
        if steps_done == 3:
            reached(folder)
            time.sleep(0.2)

    Monitor.after_step = slow  # type: ignore[method-assign]


def quick_to_profile(folder: Path) -> None:
    import harness.planning.measure as module

    module.SUSTAINED_S, module.POINT_S, module.MAX_BATCH_SIZE = 0.1, 0.01, 2


RUN = ("--dataset", "digits", "--out", "run")


@proves(
    Row("SIGTERM while the data is read", "exit code 130", "nothing was begun"),
)
def test_while_the_data_is_read_there_is_nothing_to_keep(start: Start, tmp_path: Path) -> None:
    harness = start(*RUN, "--command", PAINTED, plant=slow_to_read)
    harness.wait_until_reached()
    harness.signal(signal.SIGTERM)
    assert harness.ended() == 130
    assert harness.printed == "Interrupted.\n"
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


def interrupted_while_reporting(folder: Path) -> None:
    import harness.run.run as module

    report_of = module.report_of

    def signalled(*arguments: Any) -> str:
        os.kill(os.getpid(), signal.SIGTERM)
        return report_of(*arguments)

    module.report_of = signalled


@pytest.mark.slow
@proves(Row("SIGTERM while the report is written", "exit code 130", "all of it: record and report are whole"))
def test_while_reporting(start: Start, tmp_path: Path) -> None:
    output = tmp_path / "work" / "run"
    harness = start(*RUN, "--command", PAINTED, "--no-judge", plant=interrupted_while_reporting)
    assert harness.ended() == 130
    assert record_of(output)["outcome"] == "ok" and "</html>" in (output / "report.html").read_text()


def resumed(output: Path, **judging: Any) -> Finished:
    """The run as `--resume` ends it, judged only where it says how."""
    how = judging or {"judged": False}
    return run(RunOptions("digits", resume=True, out=output, device="cpu", **how), Voice(), [])
