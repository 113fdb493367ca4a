"""SIGTERM, Ctrl-C and hang-ups at each phase: one exit code, a record and a report, and nothing is left."""

from __future__ import annotations

import json
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluation.base.command_line import ExitCode
from harness.report.console import Voice
from harness.run.options import RunOptions
from harness.run.run import Finished, run
from tests.end_to_end.faults.harness_at_work import HarnessAtWork, reached, record_of, slowed

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


def test_while_the_data_is_read_there_is_nothing_to_keep(start: Start, tmp_path: Path) -> None:
    harness = start(*RUN, "--command", PAINTED, plant=slow_to_read)
    harness.wait_until_reached()
    harness.signal(signal.SIGTERM)
    assert harness.ended() == 130
    assert harness.printed == "Interrupted.\n"
    assert not (tmp_path / "work" / "run").exists()


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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_while_profiling_neither_process_nor_folder_is_left(
    start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    harness, scratch = start("profile", "--dataset", "digits", "--generator", "noise"), tmp_path / "work" / "runs"
    harness.wait_for(lambda: list(scratch.glob(".profile-*/log.txt")), "the process that is measured")
    harness.signal(number)
    assert harness.ended() == (130 if number == signal.SIGTERM else -signal.SIGKILL)
    assert bool(list(scratch.iterdir())) == (number == signal.SIGKILL)


@pytest.mark.slow
def test_while_tuning_nothing_is_left(start: Start, tmp_path: Path) -> None:
    tune = ("tune", "--dataset", "digits", "--generator", "native", "--steps", "1,2", "--budget", "5s", "--ipc", "4")
    harness = start(*tune, "--epochs", "100000", "--rounds", "1", "--out", "tuned", plant=quick_to_profile)
    tuned = tmp_path / "work" / "tuned"
    harness.wait_for(lambda: list(tuned.glob(".pilots-*/*/images/*/*.png")), "the first pilot")
    harness.signal(signal.SIGTERM)
    assert harness.ended() == 130
    assert not tuned.exists()


def resumed(output: Path, **judging: Any) -> Finished:
    """The run as `--resume` ends it, judged only where it says how."""
    how = judging or {"judged": False}
    return run(RunOptions("digits", resume=True, out=output, device="cpu", **how), Voice(), [])
