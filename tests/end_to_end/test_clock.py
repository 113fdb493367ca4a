"""The clock's law, seen from outside: the whole harness against generators that escape, and its own death."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.end_to_end.harness_process import ROOT, environment, harness, marked, record_of, run_harness

QUICK = ("--dataset", "digits", "--epochs", "1", "--rounds", "1")

ESCAPES = Path(__file__).parent / "escapes"


def escape(name: str) -> str:
    """The command of a hostile generator."""
    return shlex.join([sys.executable, str(ESCAPES / name)])


_NO_CLASS = """
import os, pathlib
from PIL import Image
folder = pathlib.Path(os.environ['SUBMISSION_OUTPUT'], 'banana')
folder.mkdir()
Image.new('RGB', (32, 32)).save(folder / '0.png')
"""


def wait_until(what: object, seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():  # type: ignore[operator]
            return True
        time.sleep(0.05)
    return False


def test_a_generator_that_sleeps(tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = run_harness(*QUICK, "--command", "sleep 1000", "--budget", "5s", "--out", run, mark=str(run))
    assert done.returncode == 3
    record = record_of(run)
    assert record["outcome"] == "no_images"
    assert 5.0 <= record["clock"]["ended"] - record["clock"]["started"] <= 5.5
    assert record["clock"]["ledger"]["generate"] == record["clock"]["ended"] - record["clock"]["started"]
    assert not marked(str(run))
    assert (run / "report.html").exists()


def test_a_generator_that_escapes(tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = run_harness(*QUICK, "--command", escape("never_stops.py"), "--budget", "1.5s", "--out", run, mark=str(run))
    assert done.returncode == 0, done.stderr
    assert not marked(str(run))
    record = record_of(run)
    assert record["outcome"] == "deadline_truncated"
    assert record["images"] > 0 and record["accuracy"]["rounds"]
    assert record["clock"]["ledger"]["killed_after_s"] > 0
    newest = max(file.stat().st_mtime for file in (run / "images").rglob("*.png"))
    wall_minus_monotonic = time.time() - time.monotonic()
    assert newest - wall_minus_monotonic <= record["clock"]["ended"] + 0.05
    before = sorted((run / "images").rglob("*"))
    time.sleep(0.5)
    assert sorted((run / "images").rglob("*")) == before


def test_half_written_images_are_dropped_and_told(tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = run_harness(*QUICK, "--command", escape("leaves_halves.py"), "--budget", "3s", "--out", run)
    assert done.returncode == 0, done.stderr
    record = record_of(run)
    assert (record["outcome"], record["images"]) == ("deadline_truncated", 10)
    # of each class: half an image, an empty file, and one under a temporary name
    assert (record["files"]["dropped"], record["files"]["half_written"]) == (30, 30)
    assert any(".png.part" in line for line in record["files"]["examples"])
    assert ".png.part" in (run / "report.html").read_text()
    assert "Dropped" in done.stdout


@pytest.mark.parametrize(
    ("program", "outcome", "code"),
    [
        ("raise SystemExit('no weights here')", "crashed", 3),
        ("pass", "no_images", 3),
        (_NO_CLASS, "invalid_output", 3),
        ("import os; os.rmdir(o := os.environ['SUBMISSION_OUTPUT']); os.symlink('/', o)", "invalid_output", 3),
    ],
)
def test_nothing_to_judge_is_exit_3(tmp_path: Path, program: str, outcome: str, code: int) -> None:
    run, script = tmp_path / "run", tmp_path / "program.py"
    script.write_text(program)
    done = run_harness(*QUICK, "--command", f"{sys.executable} {script}", "--budget", "20s", "--out", run)
    assert (done.returncode, record_of(run)["outcome"]) == (code, outcome)
    assert "Traceback" not in done.stderr


def test_a_crash_of_our_own_worker_is_told_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    arguments = (*QUICK, "--generator", "real", "--ipc", "1", "--no-judge")
    assert run_harness(*arguments, "--out", tmp_path / "whole").returncode == 0
    (images,) = (tmp_path / "cache").rglob("digits-train-*.npz")
    images.write_bytes(images.read_bytes()[:1000])
    done = run_harness(*arguments, "--out", tmp_path / "damaged")
    assert done.returncode == 3
    record = record_of(tmp_path / "damaged")
    assert record["outcome"] == "crashed" and "BadZipFile" in record["detail"]
    assert record["detail"] in done.stdout
    assert "Traceback" in (tmp_path / "damaged" / "log.txt").read_text()  # the worker's own, for whoever looks


def test_killing_the_harness_leaves_no_generator(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = subprocess.Popen(
        harness(*QUICK, "--command", "sleep 1000", "--out", run), cwd=ROOT, env=environment(str(run))
    )
    assert wait_until(lambda: any("sleep" in p.name() for p in marked(str(run))))
    process.kill()
    process.wait()
    assert wait_until(lambda: not marked(str(run)), 5.0)
    assert record_of(run)["outcome"] == "interrupted"


def test_ctrl_c_leaves_a_record(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = subprocess.Popen(
        harness(*QUICK, "--generator", "noise", "--ipc", "none", "--out", run),
        cwd=ROOT,
        env=environment(str(run)),
        start_new_session=True,
    )
    assert wait_until(lambda: list(run.glob("images/*/*.png")))
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=30) == 130
    record = record_of(run)
    assert record["outcome"] == "interrupted" and record["images"] > 0
    assert record["clock"]["ended_by"] == "interrupt"
    assert not marked(str(run))
    assert (run / "report.html").exists()


@pytest.mark.parametrize("trust", [(), ("--trust",)])
def test_a_command_is_kept_from_the_test_images_unless_it_is_trusted(tmp_path: Path, trust: tuple[str, ...]) -> None:
    run, program = tmp_path / "run", tmp_path / "program.py"
    program.write_text("from sklearn.datasets import load_digits\nassert len(load_digits().images) == 1797\n")
    command = f"{sys.executable} {program}"
    done = run_harness(*QUICK, "--command", command, *trust, "--budget", "60s", "--no-judge", "--out", run)
    record = record_of(run)
    if trust:
        assert record["outcome"] == "no_images", "it could read them all, and ended well"
        assert record["clock"]["confined"] is None and record["settings"]["trust"] is True
        assert "none, as --trust says" in done.stdout
        return
    if "data" not in (record["clock"]["confined"] or ()):
        pytest.skip("no namespaces can be made on this machine")
    assert record["outcome"] == "crashed"
    assert "kept from" in done.stdout and "the real data" in (run / "report.html").read_text()
