"""A real Ray cluster of several nodes: this machine's numbers, and the work of a node that died is done elsewhere."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.compare.bench import bench
from harness.compare.bench_plan import make_plan
from harness.compare.bench_results import Row
from harness.compare.engines.engine import Engine
from harness.compare.engines.local import Local
from harness.compare.engines.ray_engine import RayEngine
from harness.records.record import Record
from tests.harness.compare.engines.marked import marked

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[4]
SHARED = ("--device", "cpu")

# Noise, the same for the same seed; before its images it waits, the first time for good.
PROGRAM = """\
import json, os, pathlib, random, sys, time
from PIL import Image
mark = pathlib.Path(sys.argv[1])
if not mark.exists():
    mark.touch()
    time.sleep(50)
output = pathlib.Path(os.environ["SUBMISSION_OUTPUT"])
for label in range(10):
    (output / f"{label:03d}").mkdir()
    for index in range(2):
        pixels = random.Random(f"{label} {index}").randbytes(32 * 32 * 3)
        Image.frombytes("RGB", (32, 32), pixels).save(output / f"{label:03d}" / f"{index:06d}.png")
"""


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head that does no work, and two nodes of one processor each."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    patient = {"health_check_timeout_ms": 60_000, "health_check_period_ms": 10_000}  # a busy node is no dead one
    bare = {"include_log_monitor": False, "include_dashboard": False}
    head = {**bare, "num_cpus": 0, "no_monitor": True, "_system_config": patient}
    made = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(2):
            made.add_node(num_cpus=1, **bare)
        yield made
    finally:
        made.shutdown()


def test_a_cluster_gives_the_numbers_of_this_machine_and_survives_a_node(cluster: Any, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    mark, said = tmp_path / "started", []
    program = {"name": "program", "command": f"{sys.executable} {tmp_path / 'program.py'} {mark}", "trust": True}
    told = {"generators": [program, "gaussian", {"name": "broken", "command": "false"}], "datasets": ["digits"]}
    plan = make_plan({**told, "ipc": 2, "rounds": 2, "epochs": 3, "budgets": ["90s"]})

    def do(engine: Engine, root: Path) -> dict[str, Record]:
        rows: list[Row] = []
        bench(plan, root, engine, SHARED, lambda row, done, runs: rows.append(row))
        assert {row.name: row.sentence for row in rows if row.outcome == "not started"} == {}, said
        assert len(rows) == 3
        return {row.name: Record.load(root / "runs" / row.folder / "record.json") for row in rows}

    killer = threading.Thread(target=kill_node_at_work, args=(cluster, mark), daemon=True)
    killer.start()
    on_ray = do(RayEngine(cluster.address, "cpu", None, said.append), tmp_path / "ray")
    killer.join(5)
    here = do(Local(), tmp_path / "local")
    for name in ("program", "gaussian"):
        ours, theirs = here[name], on_ray[name]
        assert ours.accuracy and theirs.accuracy and ours.baseline and theirs.baseline
        assert theirs.images_hash == ours.images_hash
        assert theirs.accuracy.rounds == ours.accuracy.rounds and len(theirs.accuracy.rounds) == 2
        assert theirs.accuracy.per_class == ours.accuracy.per_class
        assert theirs.accuracy.deviations == ours.accuracy.deviations
        assert theirs.baseline.accuracy.rounds == ours.baseline.accuracy.rounds
        assert [audit.name for audit in theirs.audits] == [audit.name for audit in ours.audits]
        assert (theirs.settings, theirs.seed, theirs.outcome) == (ours.settings, ours.seed, ours.outcome)
        without_folder = [[word for word in each.command if str(tmp_path) not in word] for each in (ours, theirs)]
        assert without_folder[0] == without_folder[1]
    assert (on_ray["program"].restarts, on_ray["gaussian"].restarts) == (1, 0)
    assert any("program" in each and "starts again" in each for each in said)
    assert on_ray["broken"].outcome == "crashed" and on_ray["broken"].accuracy is None
    for run in (tmp_path / "ray" / "runs").iterdir():
        assert {"record.json", "report.html", "log.txt"} <= {path.name for path in run.iterdir()}
        assert not list(run.glob("*.ckpt"))


def kill_node_at_work(cluster: Any, mark: Path) -> None:
    """Once the program has started, kill the node that it runs on."""
    while not mark.exists():
        time.sleep(0.1)
    (generator,) = [each for each in psutil.process_iter() if str(mark) in _words(each)[-1:]]
    raylets = {each.pid for each in generator.parents() if each.name() == "raylet"}
    for node in cluster.worker_nodes.copy():
        if {each.process.pid for each in node.all_processes["raylet"]} & raylets:
            cluster.remove_node(node, allow_graceful=False)


def _words(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return process.cmdline()
    return []


def test_nothing_outlives_an_interruption(tmp_path: Path) -> None:
    command = f"{sys.executable} -c 'import time; time.sleep(77)' {tmp_path}"
    arguments = ["--command", command, "--trust", "--name", "sleeper", "--datasets", "digits"]
    arguments += ["--engine", "ray", "--out", str(tmp_path / "bench"), *SHARED]
    scratch = Path(tempfile.mkdtemp(dir="/tmp"))  # short: Ray puts sockets there, whose names have 107 bytes at most
    started = subprocess.Popen(
        [sys.executable, "-m", "harness", "bench", *arguments],
        cwd=ROOT,
        env={**os.environ, "BENCH_MARK": str(tmp_path), "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        until = time.monotonic() + 120
        while not any(str(tmp_path) in _words(each)[-1:] for each in psutil.process_iter()):
            assert started.poll() is None and time.monotonic() < until, "the generator never started"
            time.sleep(0.2)
        started.send_signal(signal.SIGINT)
        output, _ = started.communicate(timeout=90)
        assert started.returncode == 130, output.decode()
        until = time.monotonic() + 30
        while (left := marked(str(tmp_path))) and time.monotonic() < until:
            time.sleep(0.2)
        assert not left
    finally:
        started.kill()
        started.wait()
        left_behind = list(scratch.glob("bench-*"))
        shutil.rmtree(scratch, ignore_errors=True)
    assert not left_behind, "its folder is gone"
