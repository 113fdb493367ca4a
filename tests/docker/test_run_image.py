"""`run --image` as a user starts it, on a real engine: record, exit code, and the engine's own faults."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from harness.clock.container import engine
from tests.docker.visits import BASE_IMAGE, ROOT, Scene
from tests.harness.clock.clocked import wait_until

pytestmark = pytest.mark.docker
QUICK = ("--dataset", "digits", "--no-judge")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.client.close()


def start(*arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "harness", *QUICK, *map(str, arguments)]
    env = {**os.environ, **environment}
    return subprocess.Popen(command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def run(*arguments: str | Path) -> tuple[int, str]:
    harness = start(*arguments)
    said, _ = harness.communicate(timeout=300)
    return harness.returncode, said


def record_of(out: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((out / "record.json").read_text())
    return record


def test_the_example_runs_as_its_page_says(scene: Scene) -> None:
    image, _ = scene.client.images.build(path=str(ROOT / "examples" / "container"), tag="submission-test-example")
    try:
        code, said = run("--image", "submission-test-example", "--budget", "60s", "--out", scene.folder / "run")
    finally:
        image.remove(force=True)
    record = record_of(scene.folder / "run")
    assert code == 0, said
    assert (record["outcome"], record["images"], record["generator"]) == ("ok", 1000, "image")
    assert record["clock"]["isolation"] == "container" and record["clock"]["ended_by"] == "program"
    assert record["settings"]["image_id"] == image.id and record["settings"]["limits"]["unheld"] == []
    assert "shut in: no network" in said


def test_a_command_in_an_image_gets_the_placeholders(scene: Scene) -> None:
    program = "import sys; open(sys.argv[1] + '/log', 'w'); raise SystemExit(' '.join(sys.argv))"
    command = f'python -c "{program}" {{output}} {{dataset}} {{budget}} {{seed}} {{classes}}'
    out = scene.folder / "run"
    code, said = run("--image", BASE_IMAGE, "--command", command, "--budget", "60s", "--seed", "7", "--out", out)
    assert (code, record_of(out)["outcome"]) == (3, "crashed"), said
    assert "/output digits 60 7 /submission/classes.json" in (out / "log.txt").read_text()


def test_an_image_that_is_nowhere_is_one_sentence_before_anything_is_made(scene: Scene) -> None:
    code, said = run("--image", "submission-no-such-image:1", "--out", scene.folder / "run")
    assert code == 2 and "Error: the image 'submission-no-such-image:1' cannot be had: " in said
    assert said.splitlines()[-1].endswith("docker build -t NAME .") and not (scene.folder / "run").exists()


@contextmanager
def relay(folder: Path) -> Iterator[tuple[str, threading.Event]]:
    """An engine's socket that passes everything on until the event is set; then it is gone, as with a killed daemon."""
    target = os.environ.get("DOCKER_HOST", "/var/run/docker.sock")
    gone, open_ends = threading.Event(), list[socket.socket]()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "engine.sock"))
    listener.listen()

    def pass_on(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(target.removeprefix("unix://"))
                open_ends.extend((near, far))
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=pass_on, args=ends, daemon=True).start()

    def cut() -> None:
        gone.wait()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        (folder / "engine.sock").unlink()
        for end in open_ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    threads = [threading.Thread(target=each, daemon=True) for each in (accept, cut)]
    for thread in threads:
        thread.start()
    try:
        yield f"unix://{folder}/engine.sock", gone
    finally:
        gone.set()
        for thread in threads:
            thread.join()
        for end in (*open_ends, listener):
            end.close()


def test_an_engine_that_is_stopped_in_mid_run_costs_no_image_and_not_the_deadline(scene: Scene) -> None:
    """As when its daemon is killed: the container runs on, and nobody but we can end it."""
    if os.geteuid() != 0:
        pytest.skip("without root, only the engine can kill a container")
    short = Path("/tmp") / f"relay-{os.getpid()}"  # a socket's path may have 107 characters
    short.mkdir()
    program = """
import os, time
os.mkdir("/output/000")
for number in range(10**9):
    open("/output/000/%d.png" % number, "w").write(str(time.monotonic()))
    time.sleep(0.1)
"""
    command = shlex.join(["python", "-c", program])
    out = scene.folder / "run"
    try:
        with relay(short) as (address, gone):
            harness = start(
                "--image", BASE_IMAGE, "--command", command, "--budget", "15s", "--out", out, DOCKER_HOST=address
            )
            wait_until(lambda: len(scene.running(harness.pid)) == 2, "the container does not run", 120)
            time.sleep(2)
            gone.set()
            said, _ = harness.communicate(timeout=120)
            assert len(scene.running(harness.pid)) == 1, "the generator is dead; its holder waits for the next run"
    finally:
        shutil.rmtree(short)
        engine.remove_leftovers(scene.client)
    log = (out / "log.txt").read_text()
    assert "the next run removes what this one leaves on the container engine" in log and "Traceback" not in log
    record = record_of(out)
    assert record["clock"]["ended_by"] == "clock" and record["clock"]["ended"] < record["clock"]["deadline"] + 5, said
    written = [float(file.read_text()) for file in (out / "images" / "000").iterdir()]
    assert len(written) >= 20 and max(written) <= record["clock"]["deadline"]
    assert scene.owned(harness.pid) == []
