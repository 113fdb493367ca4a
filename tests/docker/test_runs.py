"""`docker run submission ...` as users run it, and as careful ones do."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docker.images import COMMIT, HARDENED, TAG, USER, docker, record_in, results_folder, started
from tests.real_data import real_data

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("image")]

# told by a program of ours or by a library of what does not work as it should
TROUBLE = ("Warning", "Traceback", "uncompiled", "MPLCONFIGDIR", "PID 1", "I have no name")


def wait_for(condition: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)


def test_digits_hardened_for_a_user_that_nobody_knows(tmp_path: Path) -> None:
    results = results_folder(tmp_path / "results")
    limits = ("--cpus", "1", "--memory", "3g", "--cpuset-cpus", "0")
    asked = ("--dataset", "digits", "--budget", "10m", "--ipc", "10", "--rounds", "1", "--epochs", "2")
    done = docker("run", "--rm", *HARDENED, *limits, "-v", f"{results}:/results", TAG, *asked)
    said = done.stdout + done.stderr
    assert not [word for word in TROUBLE if word in said], said
    assert "lost" not in said
    record = record_in(results)
    assert record["outcome"] == "ok" and record["accuracy"]["mean"] > 0.5
    assert record["commit"] == COMMIT
    assert record["machine"]["container"] == "docker"
    assert (record["machine"]["cores"], record["machine"]["memory_gb"]) == (1, 3.0)
    (run,) = (results / "runs").iterdir()
    assert f"runs/{run.name}/report.html in the folder mounted at /results" in " ".join(said.split())
    assert {path.stat().st_uid for path in results.rglob("*")} == {USER}
    assert (run / "report.html").stat().st_size > 10_000


def test_only_the_results_can_be_written(tmp_path: Path) -> None:
    """Neither /tmp nor a cache: one note, and the charts have a place for their fonts all the same."""
    results = results_folder(tmp_path / "results")
    closed = [option for option in HARDENED if option not in ("--tmpfs", "/tmp")]
    asked = ("--dataset", "digits", "--ipc", "1", "--budget", "10m", "--no-judge")
    done = docker("run", "--rm", *closed, "-v", f"{results}:/results", TAG, *asked)
    said = done.stdout + done.stderr
    assert not [word for word in TROUBLE if word in said], said
    assert said.count("Note: ") == 1 and "/cache" in said
    assert record_in(results)["outcome"] == "ok" and len(list(results.glob("runs/*/report.html"))) == 1


def test_networks_compile_where_tmp_may_not_be_executed(tmp_path: Path) -> None:
    results = results_folder(tmp_path / "results")
    asked = ("--dataset", "digits", "--generator", "native", "--set", "compile=yes", "--steps", "1")
    told = ("--budget", "10m", "--ipc", "4", "--no-judge")
    done = docker("run", "--rm", *HARDENED, "-v", f"{results}:/results", TAG, *asked, *told)
    record = record_in(results)
    assert record["outcome"] == "ok" and record["images"] == 40 and record["clock"]["cold"] is True
    assert not [word for word in TROUBLE if word in done.stdout + done.stderr], done.stdout + done.stderr


def test_cifar100_from_a_mounted_folder(tmp_path: Path) -> None:
    data, results = real_data("cifar-100-python"), results_folder(tmp_path / "results")
    mounts = ("-v", f"{data}:/data:ro", "-v", f"{results}:/results")
    asked = ("--dataset", "cifar100", "--ipc", "1", "--rounds", "1", "--epochs", "1")
    docker("run", "--rm", *HARDENED, *mounts, TAG, *asked)
    record = record_in(results)
    assert record["outcome"] == "ok" and record["images"] == 100 and record["accuracy"]["epochs"] == 1
    assert {audit["name"] for audit in record["audits"]} >= {"leakage", "class_order"}


def test_a_stop_while_judging_leaves_record_and_report(tmp_path: Path) -> None:
    results = results_folder(tmp_path / "results")
    asked = ("--dataset", "digits", "--ipc", "5", "--rounds", "1", "--epochs", "1000")
    container = started(*HARDENED, "-v", f"{results}:/results", arguments=asked)
    try:
        # Audits are told once they are done; from then on it judges.
        wait_for(lambda: "pixels" in docker("logs", container).stdout)
        time.sleep(3)
        docker("stop", "--time", "60", container)
        assert docker("inspect", "--format", "{{.State.ExitCode}}", container).stdout.strip() == "130"
    finally:
        docker("rm", "--force", container)
    record = record_in(results)
    assert record["outcome"] == "ok" and record["images"] == 50 and record["audits"] and record["accuracy"] is None
    assert len(list(results.glob("runs/*/report.html"))) == 1


def test_a_program_that_flees_its_parent_is_dead_at_the_deadline(tmp_path: Path) -> None:
    results = results_folder(tmp_path / "results")
    (results / "flees.py").write_text(
        "import os, sys, time\n"
        "for _ in range(2):\n"
        "    if os.fork(): time.sleep(60)\n"
        "    os.setsid()\n"
        "while True:\n"
        "    with open('/results/beats', 'w') as file: file.write(repr(time.monotonic()))\n"
        "    time.sleep(0.01)\n"
    )
    command = ("--command", "python /results/flees.py {output}", "--budget", "3s", "--dataset", "digits")
    done = docker("run", "--rm", *HARDENED, "-v", f"{results}:/results", TAG, *command, check=False)
    assert done.returncode == 3, done.stderr
    record = record_in(results)
    assert record["outcome"] == "no_images"
    last = float((results / "beats").read_text())
    assert record["clock"]["started"] < last < record["clock"]["ended"]
    assert record["clock"]["ended_by"] == "clock" and record["clock"]["isolation"]


def test_results_that_may_not_be_written_are_one_sentence(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a folder that is root's")
    results = tmp_path / "results"
    results.mkdir(mode=0o755)
    done = docker("run", "--rm", *HARDENED, "-v", f"{results}:/results", TAG, "--dataset", "digits", check=False)
    assert done.returncode == 2
    # A note on the cache, which is read-only as well, may come first.
    *notes, said = done.stderr.strip().splitlines()
    assert said.startswith("Error: ") and not [note for note in notes if not note.startswith("Note: ")]
    assert f"/results belongs to user 0 and this is user {USER}" in said and '--user "$(id -u):$(id -g)"' in said
    assert list(results.iterdir()) == []


def test_what_will_be_lost_is_said_before_the_work() -> None:
    done = docker("run", "--rm", TAG, "--dataset", "digits", "--ipc", "1", "--no-judge")
    assert '-v "$PWD/results:/results"' in done.stderr and "will be lost with this container" in done.stderr
    done = docker("run", "--rm", "--network", "none", TAG, "--dataset", "cifar100", check=False)
    assert done.returncode == 2 and '-v "$PWD/data:/data:ro"' in done.stderr
    assert "/cache" in done.stderr and "-v submission-cache:/cache" in done.stderr
    done = docker("run", "--rm", *HARDENED, TAG, "--dataset", "digits", "--ipc", "1", "--no-judge", check=False)
    assert done.returncode == 2 and '-v "$PWD/results:/results"' in done.stderr


def test_doctor_knows_where_it_is(tmp_path: Path) -> None:
    results = results_folder(tmp_path / "results")
    wide = ("--env", "COLUMNS=300")
    bare = docker("run", "--rm", *wide, "--cpus", "1", "--memory", "2500m", TAG, "doctor").stdout
    assert "In a container (docker), with 1 core and 2.6 GB of memory; what it writes is lost with it" in bare
    assert "-v submission-cache:/cache" in bare and "Ready" in bare
    kept = docker(
        *(
            "run",
            "--rm",
            "--init",
            *wide,
            *HARDENED,
            "-v",
            f"{results}:/results",
            "--mount",
            "type=volume,dst=/cache",
            TAG,
        ),
        "doctor",
    )
    assert "In a container (docker)" in kept.stdout and "lost with it" not in kept.stdout
    # Another first process, as Apptainer and `--init` have one, is nothing to warn of.
    assert not [word for word in TROUBLE if word in kept.stdout + kept.stderr]
